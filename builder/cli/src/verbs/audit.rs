//! `audit`: the lock of a profile or of an image, and data about vulnerabilities → what is known, and whether it could be gone.

use super::inspect::carried;
use crate::args::{AuditArgs, ProfileArgs, VexForm};
use crate::context::Context;
use crate::lock::CheckedLock;
use crate::project::Project;
use crate::subject::NamedSubject;
use crate::{advisories, out, sides};
use diorite_archive::{deb, stanza};
use diorite_image::read::ImageReader;
use diorite_model::audit::AuditPolicy;
use diorite_model::{Error, Exit, Lock, LockedPackage, Recipe, Result};
use diorite_rootfs::paths::DATABASE;
use diorite_trust::audit::{self, AdvisoryData, AdvisoryScope, Audit, AuditVerdict, AuditedImage};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Prints the answer; exit 4 when something could be mended, 5 when nothing is known.
pub fn audit(args: &AuditArgs, context: &Context) -> Result<Exit> {
    let subject = AuditSubject::of(args)?;
    let image = subject.packages(context)?;
    let sources = image.sources();
    let scope = AdvisoryScope { suite: &image.suite, sources: &sources };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
    let today = args.day.unwrap_or(now / 86400);
    let variable = std::env::var(advisories::VARIABLE).ok().filter(|place| !place.is_empty());
    let place = args.data.clone().or_else(|| subject.policy.data.clone()).or(variable);
    let data = match &place {
        None => None,
        Some(place) => {
            let found = advisories::find(place, &context.progress)?;
            let data = AdvisoryData::read(&found.files, &scope)?;
            let most = args.max_age.unwrap_or(subject.policy.max_age);
            let (day, by) = data.dated(place, args.data_day, found.day, today, most)?;
            Some((data, day, by))
        }
    };
    let known = data.as_ref().map(|(data, day, by)| (data, *day, *by));
    let answer = audit::judge(&image, known, &subject.policy, today);
    out::print(printed(&answer, args.vex, context.json)?)?;
    Ok(match answer.verdict {
        AuditVerdict::Passed => Exit::Done,
        AuditVerdict::Failed => Exit::VerificationFailed,
        AuditVerdict::Unknown => Exit::Host,
    })
}

fn printed(answer: &Audit, vex: Option<VexForm>, json: bool) -> Result<String> {
    let document = match vex {
        None if json => return Ok(serde_json::to_string(answer).expect("our own types serialize") + "\n"),
        None => return Ok(audit::text(answer)),
        Some(_) if answer.data.is_none() => {
            return Err(Error::host("there is no data about vulnerabilities, so that nothing can be stated")
                .hint(format!("give some: --data FILE, or a URL in {}", advisories::VARIABLE)));
        }
        Some(VexForm::Openvex) if answer.findings.is_empty() => {
            return Err(Error::input("no vulnerability is known, and an OpenVEX document has at least one statement")
                .hint("take another form: --vex cyclonedx, or --json"));
        }
        Some(VexForm::Openvex) => audit::openvex(answer),
        Some(VexForm::Cyclonedx) => audit::cyclonedx(answer),
    };
    String::from_utf8(document).map_err(|e| Error::bug(e.to_string()))
}

/// What is audited.
struct AuditSubject {
    recipe: Recipe,
    lock: Lock,
    policy: AuditPolicy,
    /// The image, where it was named itself.
    image: Option<ImageReader>,
}

impl AuditSubject {
    fn of(args: &AuditArgs) -> Result<Self> {
        match NamedSubject::of(&args.image, &args.paths)? {
            NamedSubject::Profile(project) => {
                let lock = CheckedLock::at_hand(&project, args.lock.scratch_lock)?;
                let policy = match &args.waivers {
                    None => project.settings.audit.clone(),
                    Some(name) => policy_of(name)?,
                };
                Ok(Self { recipe: project.recipe.clone(), lock: (*lock).clone(), policy, image: None })
            }
            other => {
                let image = ImageReader::open(&other.image()?)?;
                let recipe = carried(&image)?.recipe.clone();
                let lock = sides::lock_of(&image)?.ok_or_else(|| Error::bug("an image with a recipe and no lock"))?;
                let policy = args.waivers.as_deref().map(policy_of).transpose()?.unwrap_or_default();
                Ok(Self { recipe, lock, policy, image: Some(image) })
            }
        }
    }

    /// Its packages. What source each was built from says its file in the store, else the image's own database.
    fn packages(&self, context: &Context) -> Result<AuditedImage> {
        let store = context.store()?;
        let installed = self.image.as_ref().map(database).transpose()?.unwrap_or_default();
        let control = |package: &LockedPackage| {
            let file = store.blob(&package.sha256);
            let stored = file.is_file().then(|| deb::control(&file).ok()).flatten();
            let key = (package.name.clone(), package.version.clone(), package.architecture.clone());
            stored.or_else(|| installed.get(&key).cloned())
        };
        let name = format!("{} {}", self.recipe.image.name, self.recipe.image.version);
        Ok(AuditedImage::of_lock(name, &self.recipe.archive.suite, &self.lock, &control))
    }
}

/// `[audit]` of a profile.
fn policy_of(name: &str) -> Result<AuditPolicy> {
    Project::load(&ProfileArgs { name: name.to_owned(), paths: Default::default() })
        .map(|project| project.settings.audit)
}

/// Paragraphs of the machine's database of packages, by name, version and architecture.
fn database(image: &ImageReader) -> Result<BTreeMap<(String, String, String), String>> {
    let path = format!("{DATABASE}/status").into_bytes();
    let Some(file) = image.files.get(&path) else { return Ok(BTreeMap::new()) };
    let text = image.root.content(&path, file)?;
    let text = String::from_utf8_lossy(&text);
    let key = |(name, version, architecture): (&str, &str, &str)| (name.into(), version.into(), architecture.into());
    let one = |paragraph: &str| Some((key(deb::identity(paragraph)?), paragraph.to_owned()));
    Ok(stanza::stanzas(&text).filter_map(one).collect())
}
