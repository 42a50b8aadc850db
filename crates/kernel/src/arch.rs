//! Which vectors a step is computed with: the widest that the machine has, or fewer, so that they can be compared.

pub use pulp::Arch;

/// The names of [`named`].
pub const NAMES: [&str; 3] = ["auto", "v3", "scalar"];

/// The instructions of a name: "auto" for the machine's widest, "v3" for AVX2 where there is more, "scalar" for what the
/// crate was compiled for. None if there is no such name, or the machine doesn't have them.
///
/// Where the crate was compiled for a certain machine, its lesser ones use what that machine has as well.
pub fn named(name: &str) -> Option<Arch> {
    match name {
        "auto" => Some(Arch::new()),
        #[cfg(target_arch = "x86_64")]
        "v3" => pulp::x86::V3::try_new().map(Arch::V3),
        "scalar" => Some(Arch::Scalar),
        _ => None,
    }
}
