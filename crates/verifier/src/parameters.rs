//! The numbers that soundness and zero knowledge rest on. `docs/soundness.md` derives them; a test holds them against p3-security.

/// Codewords are twice as long as the domain.
pub const LOG_BLOWUP: usize = 1;

/// Random coefficients in every committed polynomial: at least as many as openings of it over all proofs.
pub const MASK: usize = 512;

/// Bytes of randomness in every leaf.
pub const SALT_BYTES: usize = 16;

/// The largest folding step of the low-degree test: 8 values into one.
pub const MAX_LOG_ARITY: usize = 3;

/// The low-degree test stops at this domain and sends the polynomial.
pub const LOG_FINAL_DOMAIN: usize = 9;

/// The looked-up table: 0 .. 2^16.
pub const LOG_TABLE: usize = 16;

/// Rows of a segment: the table has to fit, and the soundness bounds end there.
pub const LOG_ROWS: core::ops::RangeInclusive<usize> = LOG_TABLE..=20;

/// Parameters of a block: with fewer, the mask would make every word a codeword.
pub const LOG_PARAMS: core::ops::RangeInclusive<usize> = 13..=20;

/// Bits of proof of work before the lookups' challenge.
pub const LOOKUP_BITS: usize = 14;
/// Before the out-of-domain point.
pub const POINT_BITS: usize = 12;
/// Before the challenge that joins the columns.
pub const BATCH_BITS: usize = 18;
/// Before every folding challenge.
pub const FOLD_BITS: usize = 16;
/// Before the queries.
pub const QUERY_BITS: usize = 20;
/// Before the point at which a commitment is sealed.
pub const SEAL_BITS: usize = 12;

/// How much is assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preset {
    /// At least 100 proven bits in the list-decoding regime, up to the Johnson bound.
    Standard,
    /// At least 100 proven bits in the unique-decoding regime.
    Strict,
}

impl Preset {
    /// Both presets.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Strict];

    /// The name in records and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }

    /// The preset of a name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// Queries at an enforced rate of at most `rate` / 256. None for a rate without a bound.
    #[must_use]
    pub const fn queries(self, rate: usize) -> Option<usize> {
        let row = match rate {
            0..=129 => (168, 196),
            130 => (170, 197),
            131..=132 => (174, 200),
            133..=136 => (183, 209),
            _ => return None,
        };
        Some(match self {
            Self::Standard => row.0,
            Self::Strict => row.1,
        })
    }
}
