//! The compiled part and the Python part of the package are released together, under one version.

/// The text between the quotes of the line that starts with `key`, or nothing where no line does.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split('"').nth(1)
}

#[test]
fn python_package_has_the_version_of_the_crate() {
    let package = include_str!("../../../src/zk_autograd/version.py");
    assert_eq!(quoted(package, "__version__"), Some(env!("CARGO_PKG_VERSION")));
}
