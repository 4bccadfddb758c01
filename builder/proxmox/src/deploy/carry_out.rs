//! Carries one step out: its call, its upload, or the wait until the VM is healthy.

use super::Deployer;
use crate::client::{CallError, CallErrorKind, Method, Parameters, Path};
use crate::desired::Desired;
use crate::download::DownloadResult;
use crate::health;
use crate::notes::HealthVerdict;
use crate::observed::{Observed, has_serial};
use crate::plan::DeployStep;
use crate::task;
use crate::upload::{Upload, UploadContent};
use diorite_model::Digest;
use std::fs::File;

/// What came of a step.
pub(super) enum StepOutcome {
    /// The call was carried out.
    Done,
    /// The VM is healthy.
    Healthy(health::HealthEvidence),
    /// It is not, and why.
    Unhealthy(String),
}

impl Deployer<'_> {
    pub(super) fn carry_out(
        &self,
        step: &DeployStep,
        desired: &Desired,
        observed: &Observed,
    ) -> Result<StepOutcome, CallError> {
        if *step == DeployStep::HealthCheck {
            let Some(vm) = &observed.machine else { return Ok(StepOutcome::Done) };
            let check = health::HealthCheck { client: self.client, agent: vm.has_agent(), timeout: self.timeout };
            return Ok(match check.wait(vm, self.probes, self.progress)? {
                Ok(evidence) => StepOutcome::Healthy(evidence),
                Err(why) => StepOutcome::Unhealthy(why),
            });
        }
        let upid = match step.call(desired, observed, self.client.target()) {
            None if *step == DeployStep::UploadConfigDrive => Some(self.upload_config_drive(desired, observed)?),
            None => self.upload(desired, observed)?,
            Some(call) => {
                let answer = self.client.call(call.method, &call.path, &call.parameters)?;
                // Nothing: it was done at once.
                answer.as_str().map(|_| task::of_answer(self.client, call.method, &call.path, &answer)).transpose()?
            }
        };
        if let Some(upid) = upid {
            self.client.wait(&upid, &step.to_string(), self.progress)?;
        }
        Ok(StepOutcome::Done)
    }

    /// The same step; a VM whose image has failed and whose guest agent does not answer is stopped instead of being given
    /// the time of an orderly shutdown, which it would not use.
    pub(super) fn without_waiting(&self, step: DeployStep, observed: &Observed) -> Result<DeployStep, CallError> {
        let (DeployStep::Shutdown { id }, Some(vm)) = (&step, &observed.machine) else { return Ok(step) };
        let runs = |serial: &str| vm.now.get(crate::desired::SYSTEM).is_some_and(|disk| has_serial(disk, serial));
        let failed =
            vm.generations().iter().any(|g| g.proven == HealthVerdict::Failed && runs(&g.serial())) && vm.has_agent();
        if !failed {
            return Ok(step);
        }
        let path = Path::new(["nodes", &vm.node, "qemu", &id.to_string(), "agent", "ping"]);
        match self.client.call(Method::Post, &path, &Parameters::none()) {
            Err(failure) if failure.kind == CallErrorKind::Refused => Ok(DeployStep::Stop { id: *id }),
            other => other.map(|_| step),
        }
    }

    /// The image's file comes to the storage: fetched from here where the target says so and can, else uploaded.
    fn upload(&self, desired: &Desired, observed: &Observed) -> Result<Option<task::Upid>, CallError> {
        let storage = &self.client.target().import_storage;
        let path = Path::new(["nodes", &observed.node, "storage", storage, "upload"]);
        let local = |why: String| self.client.failure(CallErrorKind::Local, Method::Post, &path, why);
        let (Some(image), Some(file)) = (&desired.file, self.file) else {
            return Err(local("there is no file of the image".into()));
        };
        let mut from = File::open(file).map_err(|e| local(format!("{}: {e}", file.display())))?;
        let upload = Upload {
            node: &observed.node,
            storage,
            content: UploadContent::Import,
            name: &image.name,
            size: image.size,
            digest: image.sha256,
        };
        if let Some(serve) = &self.client.target().serve {
            match self.client.download(&upload, file, serve, self.progress)? {
                DownloadResult::Present => return Ok(None),
                DownloadResult::Unavailable(why) => self.progress.say(format!(
                    "node {} cannot fetch the image from this host, so it is uploaded: {why}",
                    observed.node
                )),
            }
        }
        self.client.upload(&upload, &mut from, self.progress).map(Some)
    }

    fn upload_config_drive(&self, desired: &Desired, observed: &Observed) -> Result<task::Upid, CallError> {
        let storage = &self.client.target().iso_storage;
        let path = Path::new(["nodes", &observed.node, "storage", storage, "upload"]);
        let Some((iso, bytes)) = desired.config_drive.as_ref().and_then(|iso| Some((iso, iso.bytes.as_ref()?))) else {
            return Err(self.client.failure(
                CallErrorKind::Local,
                Method::Post,
                &path,
                "there is no config drive to upload",
            ));
        };
        let upload = Upload {
            node: &observed.node,
            storage,
            content: UploadContent::Iso,
            name: iso.file(),
            size: bytes.len() as u64,
            digest: Digest::of(bytes),
        };
        self.client.upload(&upload, &mut bytes.as_slice(), self.progress)
    }
}
