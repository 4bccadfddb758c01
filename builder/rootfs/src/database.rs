//! The dpkg database as dpkg itself would have written it.
