//! The page: a table with the spread of each row, the limits, and where the seconds go.

use crate::process::Run;
use crate::{Data, ours, peers};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Rows in the order of the table.
pub const ROWS: [&str; 7] =
    [peers::MKOSI, peers::MMDEBSTRAP, peers::NO_INITRAMFS, ours::FULL, ours::OVERLAY, ours::NOTHING, ours::LOCK];

/// Minimum, median and maximum of a figure of a row; nothing when it did not run.
pub fn spread(runs: &[Run], what: &str, figure: impl Fn(&Run) -> f64) -> Option<[f64; 3]> {
    let mut values: Vec<f64> = runs.iter().filter(|r| r.what == what).map(figure).collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| [values[0], (values[(n - 1) / 2] + values[n / 2]) / 2.0, values[n - 1]])
}

/// Today in UTC, YYYY-MM-DD (H. Hinnant, "chrono-compatible low-level date algorithms", civil_from_days).
pub fn date() -> String {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() / 86400) + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (d, m) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    format!("{:04}-{m:02}-{d:02}", year + era * 400 + u64::from(m <= 2))
}

/// The page in Markdown.
pub fn write(data: &Data) -> String {
    let mut out = format!("# What a build costs, {}\n\n", data.date);
    let n = data.runs.iter().filter(|r| r.what == ours::FULL).count();
    let _ = writeln!(
        out,
        "Written by `make bench`; every run is in [{0}-build.json]({0}-build.json). {1}, {2} cores, {3} MiB, Linux {4}.\n\
         {5}. Image: `server`, {6} packages, {7:.1} MB of .debs. Median (minimum – maximum) of {n}.\n\n\
         ![CPU seconds]({0}-build.svg)\n",
        data.date,
        data.machine.cpu,
        data.machine.cores,
        data.machine.memory_mib,
        data.machine.kernel,
        data.versions.join(", "),
        data.packages,
        data.package_bytes as f64 / 1e6,
    );
    out += "| | CPU s | wall s | largest process, MiB | load before | CPU s of others meanwhile |\n|---|---|---|---|---|---|\n";
    for row in ROWS {
        let cell = |figure: fn(&Run) -> f64, digits: usize| match spread(&data.runs, row, figure) {
            Some([min, median, max]) => format!("{median:.digits$} ({min:.digits$} – {max:.digits$})"),
            None => "skipped".to_owned(),
        };
        let _ = writeln!(
            out,
            "| {row} | {} | {} | {} | {} | {} |",
            cell(|r| r.cpu, 2),
            cell(|r| r.wall, 2),
            cell(|r| r.peak_mib, 0),
            cell(|r| r.load_before, 2),
            cell(|r| r.others_cpu, 1)
        );
    }
    out += "\n| limit | measured | at most | |\n|---|---|---|---|\n";
    for l in &data.limits {
        let met = if l.met { "met" } else { "**missed**" };
        let _ = writeln!(out, "| {} | {:.2} {} | {} {} | {met} |", l.what, l.value, l.unit, l.limit, l.unit);
    }
    out += &stricter(data);
    for skipped in &data.skipped {
        let _ = writeln!(out, "\nSkipped: {skipped}.");
    }
    let _ = writeln!(
        out,
        "\nBoot to the last check: {:.1} s under {}, {} of {} checks passed.",
        data.boot.seconds, data.boot.accelerator, data.boot.passed.0, data.boot.passed.1
    );
    let _ = write!(out, "\n## What is compared\n\n{}", compared(data));
    seconds(&mut out, data);
    out
}

/// The ratio to the row that is no limit: mmdebstrap with nothing that makes an initramfs.
fn stricter(data: &Data) -> String {
    let cpu = |what| spread(&data.runs, what, |r| r.cpu).map(|s| s[1]);
    match (cpu(ours::FULL), cpu(peers::NO_INITRAMFS)) {
        (Some(full), Some(theirs)) => format!(
            "\nWithout an initramfs on mmdebstrap's side, the stricter reading of the same packages, the ratio is {:.2}.\n",
            full / theirs
        ),
        _ => String::new(),
    }
}

fn compared(data: &Data) -> String {
    let source = data.runs.iter().find(|r| r.what == ours::FULL).map_or("", |r| &*r.cpu_source);
    format!(
        "- CPU is user + system of the whole process tree ({source}). A full build starts with an empty store whose pool \
         holds the .debs, and ends with disk.raw and disk.qcow2.\n\
         - The peers install the very same .debs from a local repository that needs no signature and no network. Their \
         work and results are on {0}; our store and results are on the disk, to their advantage, and our trees in memory \
         while they are made, where enough of it is free. They make no container, no firewall and no qcow2: to their \
         advantage too.\n\
         - The largest process is that by its resident set, which holds of files in memory only what it has mapped. Peak \
         memory among the limits counts our trees besides, in full.\n\
         - mmdebstrap makes the bare root tar, with initramfs-tools, which a Debian kernel asks for: it makes an initramfs as \
         our build makes an initrd. The row without has an empty package in its place, and so exactly our packages and no \
         initramfs; so has mkosi.\n\
         - mkosi makes the equivalent disk: ESP with a UKI, EROFS (zstd) and dm-verity; its initrd is a second Debian \
         image.\n\
         - Both run as root in a tree of Debian packages that Diorite locked, fetched and configured.\n",
        data.peers_work_on
    )
}

/// What one stage of a full build cost: its name, CPU and wall seconds. A stage ends at the line that says its time.
fn stages(run: &Run) -> Vec<(String, f64, f64)> {
    let mut stages: Vec<(String, f64, f64)> = Vec::new();
    let (mut cpu, mut wall) = (0.0, 0.0);
    for line in run.lines.iter().filter(|l| l.text.ends_with(" s)")) {
        let name = line.text.split([':', '(']).next().unwrap_or_default().trim().to_owned();
        let (more_cpu, more_wall) = (line.cpu - cpu, line.wall - wall);
        (cpu, wall) = (line.cpu, line.wall);
        // The machine's tree and each container's go through the same stages.
        match stages.iter_mut().find(|s| s.0 == name) {
            Some(stage) => (stage.1, stage.2) = (stage.1 + more_cpu, stage.2 + more_wall),
            None => stages.push((name, more_cpu, more_wall)),
        }
    }
    stages.push(("after the last stage".to_owned(), run.cpu - cpu, run.wall - wall));
    stages
}

/// CPU and wall seconds of the last full build by stage, and its step table.
fn seconds(out: &mut String, data: &Data) {
    let Some(run) = data.runs.iter().rfind(|r| r.what == ours::FULL) else { return };
    *out += "\n## Where the seconds of a full build go\n\n";
    if run.cpu_source == "cgroup" {
        let mut sorted = stages(run);
        sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
        let most: Vec<String> =
            sorted.iter().take(3).map(|(n, c, _)| format!("{n} {:.0} %", c / run.cpu * 100.0)).collect();
        let _ = writeln!(
            out,
            "Most of the {:.1} CPU seconds of the last full build are in {}. {:.1} of them were spent in the kernel \
             (by wait4). On {} cores the build kept {:.2} of them busy.\n",
            run.cpu,
            most.join(", "),
            run.system,
            data.machine.cores,
            run.cpu / run.wall
        );
        *out += "| stage, machine and containers together | CPU s | wall s |\n|---|---|---|\n";
        for (name, cpu, wall) in stages(run) {
            let _ = writeln!(out, "| {name} | {cpu:.2} | {wall:.2} |");
        }
    }
    *out += "\n| step | wall s | MB |\n|---|---|---|\n";
    for step in data.steps.as_array().into_iter().flatten() {
        let number = |name: &str| step[name].as_f64().unwrap_or(0.0);
        let name = step["name"].as_str().unwrap_or("");
        let _ = writeln!(out, "| {name} | {:.2} | {:.1} |", number("seconds"), number("bytes") / 1e6);
    }
}
