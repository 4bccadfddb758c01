//! A container with a wheel, and what can be wrong with it. The wheel is `index/page-demo` beside this file, found through an
//! index that is a directory.

use super::table::ASIDE;
use super::{Image, Wrong};

/// Every edit of a wrong names a text that stands in here once.
pub const PROFILE: &str = r#"extends = "base"
[image]
name = "wheels"
version = "1"
[firewall]
allow = [{ port = 8080 }]
[containers.app]
packages = ["python3"]
command = ["page-demo"]
requirements = ["page-demo==1.0 --hash=sha256:62034c893e47f018e70c6324bf1cc4d4ce756bd570aaf3a7edd481a6f56f7a12"]
publish = [{ host = 8080, container = 8000 }]
"#;

/// Python finds something else than the lock promises.
pub const WHEELS: Image = Image {
    name: "other-wheels",
    right: PROFILE,
    skip: ASIDE,
    wrongs: &[Wrong {
        what: "a distribution of another version",
        edits: &[("packages = [\"python3\"]", "packages = [\"python3\"]\noverlays = [\"wrong\"]")],
        files: &[(
            "usr/local/lib/python3.13/dist-packages/page_demo-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: page-demo\nVersion: 2.0\n",
        )],
        caught: &[("container-app-wheels", "page-demo is 2.0, not 1.0")],
    }],
};
