//! Reader of .deb files (deb(5)).
