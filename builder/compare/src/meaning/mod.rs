//! What two recipes or two roots mean, by subject. Where both sides are images, the images are asked; else the recipes.

pub mod firewall;
pub mod kernel;
pub mod people;
pub mod ports;
pub mod settings;
pub mod sizes;
pub mod units;

use diorite_image::read::ImageReader;
use diorite_model::Result;

/// The text of a file of a root; empty where it is missing.
fn text(image: &ImageReader, path: &str) -> Result<String> {
    match image.files.get(path.as_bytes()) {
        Some(file) => Ok(String::from_utf8_lossy(&image.root.content(path.as_bytes(), file)?).into_owned()),
        None => Ok(String::new()),
    }
}
