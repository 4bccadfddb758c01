//! Writes below a folder and nowhere else, whatever an archive says.
