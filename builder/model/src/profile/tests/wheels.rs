//! Requirements of a container: what is meant, and what cannot be, with the exact text.

use super::*;

const A: &str = "--hash=sha256:9068bc196136463f5245e51efda838afa15aaeca9903f49050dfa2679db4d252";
const B: &str = "--hash=sha256:34e815dfaa43340d1d15a5c3a02b8476004037eb4840b34910c6e21679d288f3";

/// A profile with a container that has these keys, and the text of `requirements.txt` beside it.
fn app(keys: &str, file: &str) -> Result<Recipe> {
    let text = format!("[image]\nname = \"a\"\nversion = \"1\"\n[containers.app]\n{keys}\n");
    let mut load = |name: &str| match name {
        "requirements.txt" => Ok(Loaded { file: format!("profiles/{name}"), text: file.into() }),
        _ => Err(Error::input(format!("{name} cannot be read"))),
    };
    parse(&text, "profiles/a.toml", &mut load).map(|(recipe, _)| recipe)
}

const PYTHON: &str = "packages = [\"python3\"]\ncommand = [\"app\"]\n";

fn refused(keys: &str, file: &str) -> String {
    app(&format!("{PYTHON}{keys}"), file).map(|r| format!("{:?}", r.containers)).unwrap_err().to_string()
}

#[test]
fn a_file_and_the_profile_say_the_same() {
    let of = |keys: &str, file: &str| {
        let recipe = app(&format!("{PYTHON}{keys}"), file).unwrap_or_else(|e| panic!("{e}"));
        let lines: Vec<String> = recipe.containers["app"].wheels.iter().map(ToString::to_string).collect();
        (lines, recipe.digest())
    };
    let file = format!("b==2 {B} # later\nA==1.0 \\\n  {A}\n");
    let (lines, digest) = of("wheels = \"requirements.txt\"", &file);
    assert_eq!(lines, [format!("a==1.0 {A}"), format!("b==2 {B}")]);
    assert_eq!(of(&format!("requirements = [\"a==1.0 {A}\", \"b==2 {B}\"]"), "").1, digest);
    assert_eq!(
        of(&format!("wheels = \"requirements.txt\"\nrequirements = [\"a==1.0 {A}\"]"), &format!("b==2 {B}")).1,
        digest
    );
    // A change of the file is a change of the recipe, and so the lock is out of date.
    assert_ne!(of("wheels = \"requirements.txt\"", &file.replace("1.0", "1.1")).1, digest);
    assert_ne!(of("wheels = \"requirements.txt\"", &file.replace(A, &format!("{A} {B}"))).1, digest);
    // One name twice, under conditions of which one holds.
    let file = format!("a==1 ; python_version < '3.13' {A}\na==2 ; python_version >= '3.13' {B}\n");
    assert_eq!(of("wheels = \"requirements.txt\"", &file).0.len(), 2);
    // None at all is what it was.
    assert_eq!(app(PYTHON, "").unwrap().digest(), app(&format!("{PYTHON}requirements = []"), "").unwrap().digest());
}

#[test]
fn what_cannot_be_meant_shows_the_line() {
    let file = |text: &str| refused("wheels = \"requirements.txt\"", text);
    let image = |keys: &str| app(&format!("archive = \"a.tar\"\n{keys}"), "").map(|_| ()).unwrap_err().to_string();
    let all = [
        file(&format!("# first\nflask==3.0.3\nb==1 {A}\n")),
        file(&format!("flask>=3 \\\n    {A}\n")),
        file("-r other.txt\n"),
        file(&format!("a==1 {A}\n\nA==1 {B}\n")),
        file("# nothing\n"),
        refused(&format!("wheels = \"requirements.txt\"\nrequirements = [\"a==2 {B}\"]"), &format!("a==1 {A}")),
        refused("wheels = \"requirements\"", ""),
        refused("wheels = \"../requirements.txt\"", ""),
        refused("wheels = \"missing.txt\"", ""),
        refused("wheels = [\"requirements.txt\"]", ""),
        refused("requirements = [\"flask==3.0.3\"]", ""),
        refused(&format!("requirements = [\"a==1 {A}\", \"a==1 {A}\"]"), ""),
        image("wheels = \"requirements.txt\""),
        image(&format!("requirements = [\"a==1 {A}\"]")),
        file(&"x".repeat(2 << 20)),
        file(&format!(
            "a @ https://files.example/a-1-py3-none-any.whl?token=ghp_0123456789abcdefghijABCDEFGHIJ012345 {A}"
        )),
    ];
    insta::assert_snapshot!("wheels", all.join("\n\n"));
}
