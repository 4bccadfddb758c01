//! Stable numeric ids: the same account has the same number in every version of an image.
