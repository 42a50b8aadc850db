//! The little JSON that the programs of this crate print.

use std::fmt::{Display, Write as _};

/// An object of keys and values that are JSON already.
#[must_use]
pub fn object<V: Display>(entries: impl IntoIterator<Item = (impl Display, V)>) -> String {
    let mut text = String::from("{");
    for (index, (key, value)) in entries.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}\"{key}\": {value}");
    }
    text + "}"
}

/// A list of values that are JSON already.
#[must_use]
pub fn list<V: Display>(values: impl IntoIterator<Item = V>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    format!("[{}]", values.join(", "))
}
