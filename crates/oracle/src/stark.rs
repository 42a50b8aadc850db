//! The second statement proved with Plonky3's batch STARK in its hiding mode: two instances, the steps and the table.
//!
//! This is what Plonky3 offers ready-made: masked by random rows, salted leaves, a random codeword for the batch. It commits
//! to all columns together and sends the lookups' terminals in the clear, so it can't chain; but it proves the same steps.

use core::fmt;

use p3_air::BaseAir;
use p3_air::symbolic::AirLayout;
use p3_batch_stark::symbolic::{get_max_constraint_degree, get_symbolic_constraints};
use p3_batch_stark::{BatchProof, ProverData, StarkInstance, num_batched_openings, prove_batch, verify_batch};
use p3_blake3::Blake3;
use p3_challenger::{HashChallenger, SerializingChallenger64};
use p3_commit::ExtensionMmcs;
use p3_dft::Radix2DitParallel;
use p3_field::PrimeCharacteristicRing;
use p3_fri::{FriParameters, HidingFriPcs};
use p3_lookup::LogUpGadget;
use p3_matrix::dense::RowMajorMatrix;
use p3_merkle_tree::MerkleTreeHidingMmcs;
use p3_security::grinding::GrindingSites;
use p3_security::logup;
use p3_security::shape::{InstanceShape, StarkAirParams};
use p3_security::stark::proven_security_report;
use p3_symmetric::{CompressionFunctionFromHasher, SerializingHasher};
use p3_uni_stark::{OpeningShape, StarkConfig};
use rand::SeedableRng;
use rand::rngs::StdRng;
use zk_autograd_air::{Ext, Val};

use crate::relations::Steps;
use crate::table::{Oracle, Table};
use crate::verdict::multiplicities;

type Hash = SerializingHasher<Blake3>;
type Compress = CompressionFunctionFromHasher<Blake3, 2, 32>;
/// Two salts of 64 bits: 16 bytes a leaf, as in our own prover.
type Trees = MerkleTreeHidingMmcs<Val, u8, Hash, Compress, StdRng, 2, 32, 2>;
type ExtensionTrees = ExtensionMmcs<Val, Ext, Trees>;
type Dft = Radix2DitParallel<Val>;
type Scheme = HidingFriPcs<Val, Dft, Trees, ExtensionTrees, StdRng>;
type Challenger = SerializingChallenger64<Val, HashChallenger<u8, Blake3, 32>>;
type Config = StarkConfig<Scheme, Ext, Challenger>;

/// Codewords that hide the batch: one for each dimension of the extension.
const RANDOM_CODEWORDS: usize = 2;

/// The parameters of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// log2 of the blowup.
    pub log_blowup: usize,
    /// Queries.
    pub queries: usize,
    /// log2 of the final polynomial's coefficients.
    pub log_final: usize,
    /// log2 of the largest folding step.
    pub log_arity: usize,
    /// Bits of proof of work before the lookups' challenge.
    pub lookup_bits: usize,
    /// Before the out-of-domain point.
    pub point_bits: usize,
    /// Before the challenge that joins the columns.
    pub batch_bits: usize,
    /// Before every folding challenge.
    pub fold_bits: usize,
    /// Before the queries.
    pub query_bits: usize,
}

impl Parameters {
    /// For traces of a few rows: nothing is proved of them that the test doesn't know.
    pub const TEST: Self = Self {
        log_blowup: 2,
        queries: 3,
        log_final: 0,
        log_arity: 2,
        lookup_bits: 0,
        point_bits: 0,
        batch_bits: 0,
        fold_bits: 0,
        query_bits: 0,
    };

    /// At least 100 proven bits up to 2^20 rows at the smallest blowup, which is the fastest.
    pub const FASTEST: Self = Self {
        log_blowup: 1,
        queries: 176,
        log_final: 5,
        log_arity: 3,
        lookup_bits: 14,
        point_bits: 14,
        batch_bits: 18,
        fold_bits: 16,
        query_bits: 20,
    };

    /// The same at a blowup of 4, for smaller proofs.
    pub const SMALLER: Self = Self { log_blowup: 2, queries: 87, ..Self::FASTEST };

    fn grinding(&self) -> GrindingSites {
        GrindingSites {
            out_of_domain: self.point_bits,
            batch_combination: self.batch_bits,
            lookup_challenge: self.lookup_bits,
        }
    }

    fn fri(&self, mmcs: ExtensionTrees) -> FriParameters<ExtensionTrees> {
        FriParameters {
            log_blowup: self.log_blowup,
            log_final_poly_len: self.log_final,
            max_log_arity: self.log_arity,
            num_queries: self.queries,
            batch_proof_of_work_bits: self.batch_bits,
            commit_proof_of_work_bits: self.fold_bits,
            query_proof_of_work_bits: self.query_bits,
            mmcs,
        }
    }

    /// The coins are a stream of the seed: these proofs are for tests and measurements.
    fn trees(seed: u64) -> Trees {
        Trees::new(Hash::new(Blake3), Compress::new(Blake3), 0, StdRng::seed_from_u64(seed))
    }

    fn config(&self, seed: u64) -> Config {
        let fri = self.fri(ExtensionTrees::new(Self::trees(seed + 1)));
        let scheme =
            Scheme::new(Dft::default(), Self::trees(seed), fri, RANDOM_CODEWORDS, StdRng::seed_from_u64(seed + 2));
        Config::new(scheme, Challenger::from_hasher(b"zk-autograd oracle v1".to_vec(), Blake3))
            .with_ood_proof_of_work_bits(self.point_bits)
            .with_lookup_proof_of_work_bits(self.lookup_bits)
    }
}

/// Why there is no proof, or why one is refused.
#[derive(Debug)]
pub struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Refused {}

/// Two AIRs with their traces, ready to be proved.
pub struct Batch {
    parameters: Parameters,
    config: Config,
    airs: [Oracle; 2],
    traces: [RowMajorMatrix<Val>; 2],
    data: ProverData<Config>,
}

impl Batch {
    /// The steps' rows, and the multiplicities that go with them.
    ///
    /// # Errors
    /// If Plonky3 refuses the table.
    pub fn new(steps: Steps, rows: RowMajorMatrix<Val>, parameters: Parameters, seed: u64) -> Result<Self, Refused> {
        let counts = multiplicities(&steps, &rows).into_iter().map(Val::from_u32).collect();
        let config = parameters.config(seed);
        let airs = [Oracle::Steps(Box::new(steps)), Oracle::Table(Table)];
        let traces = [rows, RowMajorMatrix::new(counts, 1)];
        let data = ProverData::from_instances(&config, &instances(&airs, &traces))
            .map_err(|error| Refused(format!("{error:?}")))?;
        Ok(Self { parameters, config, airs, traces, data })
    }

    /// Proves the batch.
    ///
    /// # Errors
    /// If the trace is too short for its masks.
    ///
    /// # Panics
    /// With debug assertions, if a relation doesn't hold.
    pub fn prove(&self) -> Result<BatchProof<Config>, Refused> {
        prove_batch(&self.config, &instances(&self.airs, &self.traces), &self.data)
            .map_err(|error| Refused(format!("{error:?}")))
    }

    /// Checks a proof of the batch.
    ///
    /// # Errors
    /// If it is refused.
    pub fn verify(&self, proof: &BatchProof<Config>) -> Result<(), Refused> {
        verify_batch(&self.config, &self.airs, proof, &[Vec::new(), Vec::new()], &self.data.common)
            .map_err(|error| Refused(format!("{error:?}")))
    }

    /// Proven bits of soundness, by `p3-security`, for `2^log_rows` rows.
    #[must_use]
    pub fn security(&self, log_rows: usize) -> f64 {
        let gadget = LogUpGadget::new();
        let openings = OpeningShape::hiding(RANDOM_CODEWORDS);
        let (mut relations, mut degree, mut chunks, mut batched, mut looked_up) = (0, 0, 0, 0, 0);
        for (air, lookups) in self.airs.iter().zip(&self.data.common.lookups) {
            let layout = AirLayout::from_air(air);
            let (base, extension) = get_symbolic_constraints::<Val, Ext, _, _>(air, layout, lookups, &gadget);
            relations += base.len() + extension.len();
            let own = get_max_constraint_degree::<Val, Ext, _, _>(air, layout, 1 << log_rows, lookups, &gadget);
            let own_chunks = 2 * own.max(1).next_power_of_two();
            degree = degree.max(own);
            chunks = chunks.max(own_chunks);
            batched += num_batched_openings(
                air.width(),
                !air.main_next_row_columns().is_empty(),
                air.preprocessed_width(),
                false,
                own_chunks,
                lookups.len(),
                2,
                openings,
            );
            looked_up += lookups.iter().map(|lookup| lookup.elements.len()).sum::<usize>();
        }
        let shape = InstanceShape {
            // A masked trace is twice as long.
            log_trace_length: log_rows + 1,
            modulus_bits: 127,
            collision_resistance: 128,
            num_batched_functions: batched,
        };
        let air = StarkAirParams {
            num_constraints: relations,
            max_constraint_degree: degree,
            num_quotient_chunks: chunks,
            max_combo: 2,
        };
        let regime = self.parameters.fri(ExtensionTrees::new(Parameters::trees(0))).security_regime();
        let grinding = self.parameters.grinding();
        let lookups = logup::LogUpAir { num_interactions: looked_up, max_message_width: 1 };
        let extras: Vec<_> = logup::security_term(&lookups, &shape, &grinding).into_iter().collect();
        proven_security_report(&regime, &air, &shape, &extras, &grinding).security_bits()
    }
}

fn instances<'a>(
    airs: &'a [Oracle; 2],
    traces: &'a [RowMajorMatrix<Val>; 2],
) -> Vec<StarkInstance<'a, Config, Oracle>> {
    airs.iter().zip(traces).map(|(air, trace)| StarkInstance { air, trace, public_values: Vec::new() }).collect()
}
