//! What is installed, and what of it was left out.

use crate::{
    answer::{Judged, short, verdict},
    check::Check,
    quote,
    scope::Scope,
};
use diorite_machine::Output;
use diorite_model::recipe::FileFilter;

/// A check for each thing that the profile says of its packages beyond their names.
pub fn checks(scope: &Scope<'_>) -> Vec<Check> {
    let (packages, kernel) = (&scope.recipe.packages, &scope.recipe.kernel);
    let mut all = Vec::new();
    if !packages.exclude.is_empty() {
        let names = packages.exclude.join(" ");
        let words = quote::words(&packages.exclude);
        let ask = format!("dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}}\\n' {words} 2>/dev/null; true");
        all.push(Check::script("packages-excluded", format!("not installed: {names}"), ask, excluded));
    }
    if !packages.files.is_everything() {
        let filter = packages.files.clone();
        let what = "documentation and translations that the profile leaves out are not there";
        all.push(Check::script("packages-left-out", what, LEFT_OUT, move |said| left_out(said, &filter)));
    }
    if let Some(package) = &kernel.package {
        let name = package.split('=').next().unwrap_or(package);
        let what = format!("the kernel that runs is the one of {name}");
        let ask = format!(
            "dpkg-query -S /usr/lib/modules/$(uname -r) /lib/modules/$(uname -r) 2>/dev/null; \
             dpkg-query -W -f '${{Package}}: ${{Depends}}\\n' {}",
            quote::word(name)
        );
        let name = name.to_owned();
        all.push(Check::script("kernel-package", what, ask, move |said| kernel_of(said, &name)));
    }
    all
}

/// Packages and their states, `ii  NAME`: none may have files.
fn excluded(output: &Output) -> Judged {
    let there: Vec<&str> = output.text.lines().filter(|l| l.get(1..2).is_some_and(|s| s != "n")).collect();
    verdict(output.success() && there.is_empty(), short(&there.join(", ")))
}

/// Every file and link where documentation and translations are, and what dpkg's checksums name there and is not there.
const LEFT_OUT: &str = "cd / && find usr/share/doc usr/share/man usr/share/info usr/share/locale ! -type d; \
    sed 's/^.\\{34\\}//' /var/lib/dpkg/info/*.md5sums | grep -E '^usr/share/(doc|man|info|locale)/' | \
    xargs -r -d '\\n' ls -d -- 2>&1 >/dev/null | sed 's/^/missing: /'";

/// Nothing that the filter leaves out, and nothing that dpkg expects there and would miss.
fn left_out(output: &Output, filter: &FileFilter) -> Judged {
    let wrong = |line: &&str| line.starts_with("missing: ") || !filter.keeps(line.as_bytes());
    let found: Vec<&str> = output.text.lines().filter(wrong).collect();
    let shown = found.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    let seen = if found.is_empty() { "none".to_owned() } else { format!("{}: {shown}", found.len()) };
    verdict(!output.text.trim().is_empty() && found.is_empty(), seen)
}

/// Whose the running kernel's modules are, `PACKAGE: PATH`, and then what the asked-for package needs.
fn kernel_of(output: &Output, name: &str) -> Judged {
    let mut lines = output.text.lines();
    let owner = lines.next().and_then(|l| l.split_once(": ")).filter(|(_, path)| path.starts_with('/'));
    let Some((owners, _)) = owner else { return Err(format!("no package has its modules: {}", short(&output.text))) };
    let needs = output.text.lines().last().and_then(|l| l.split_once(": ")).map_or("", |(_, needs)| needs);
    let needed = |owner: &str| needs.split(['|', ',']).any(|n| n.split_whitespace().next() == Some(owner));
    let own = owners.split(", ").any(|owner| owner == name || needed(owner));
    verdict(output.success() && own, owners.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Output {
        Output { status: 0, text: text.to_owned() }
    }

    #[test]
    fn a_package_that_should_not_be_there_is_seen() {
        assert!(excluded(&said("")).is_ok());
        assert!(excluded(&said("un  nano\n")).is_ok(), "known, and not installed");
        assert_eq!(excluded(&said("ii  nano\n")), Err("ii  nano".into()));
    }

    #[test]
    fn a_file_that_should_be_left_out_is_seen() {
        let filter = FileFilter { documentation: false, translations: Some(vec!["de".into()]) };
        let good = "usr/share/doc/nano/copyright\nusr/share/locale/de/LC_MESSAGES/nano.mo\n";
        assert_eq!(left_out(&said(good), &filter), Ok("none".into()));
        for wrong in [
            "usr/share/man/man1/nano.1.gz",
            "usr/share/locale/fr/LC_MESSAGES/nano.mo",
            "missing: ls: cannot access 'usr/share/man/man1/nano.1.gz': No such file or directory",
        ] {
            assert!(left_out(&said(&format!("{good}{wrong}\n")), &filter).is_err(), "{wrong}");
        }
        assert!(left_out(&said(""), &filter).is_err(), "a machine without a licence proves nothing");
    }

    #[test]
    fn another_kernel_is_seen() {
        let judge = |text: &str| kernel_of(&said(text), "linux-image-rt-amd64");
        let needs = "linux-image-rt-amd64: linux-image-6.12.9-rt-amd64 (= 6.12.9-1), linux-base\n";
        assert!(judge(&format!("linux-image-6.12.9-rt-amd64: /usr/lib/modules/6.12.9-rt-amd64\n{needs}")).is_ok());
        assert!(judge("linux-image-rt-amd64: /usr/lib/modules/6.13\nlinux-image-rt-amd64: kmod\n").is_ok(), "its own");
        let other = judge(&format!("linux-image-6.12.9-cloud-amd64: /usr/lib/modules/6.12.9-cloud-amd64\n{needs}"));
        assert_eq!(other, Err("linux-image-6.12.9-cloud-amd64".into()));
        assert!(judge(needs).is_err(), "modules of nobody's");
    }
}
