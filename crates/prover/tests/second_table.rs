//! A second kind of table goes through the same loops as the optimizer's: with columns and
//! relations, an opening point, and rounds of messages of its own.
//!
//! It is a ledger. On each line of T rows an account begins at a committed balance and ends at a
//! public one; what step t adds is counted `weight_t` times, and the weights are public:
//!
//! ```text
//! b = a a(g^2 X)                                      everywhere: what is added, times what is added two rows on
//! c(g X) = c + weight a                               on all rows but a line's last
//! c = start,   c + weight a = end                     on a line's first row, and on its last
//! s(g X) = s + 1 / (sigma + a) - 1 / (sigma + d)      everywhere: d holds the same amounts in another order
//! r(g X) = r + tau (a - d)                            everywhere: a third round, whose challenge comes after s
//! ```

use std::sync::OnceLock;

use p3_field::{Algebra, Field, PrimeCharacteristicRing};
use zk_autograd_air::field::{from_signed, to_signed};
use zk_autograd_air::{Collected, Ext, Val};
use zk_autograd_prover::coins::Seed;
use zk_autograd_prover::state::{States, parts};
use zk_autograd_prover::table::{Coins, Witnessed};
use zk_autograd_prover::tamper::{Honest, Tamper};
use zk_autograd_prover::words::{Dft, padded};
use zk_autograd_prover::{Progress, ProveError, TableProof, prove_table};
use zk_autograd_verifier::lengths::Domain;
use zk_autograd_verifier::parameters::SALT_BYTES;
use zk_autograd_verifier::sealed::Sealed;
use zk_autograd_verifier::table::{
    Layout, Opening, Part, Place, Plan, QUOTIENT, Relations, Root, Round, Row, Table, Tree,
};
use zk_autograd_verifier::{Error, Lengths, Preset, verify_table};

// The trees, in the order in which they are opened.
const MAIN: usize = 0;
const START: usize = 1;
const FIRST_SUM: usize = 2;
const SECOND_SUM: usize = 3;
const QUOTIENT_TREE: usize = 4;
/// The opening of the committed balances.
const START_OPENING: usize = 12;

/// What is public of a ledger.
#[derive(Clone)]
struct Ledger {
    lengths: Lengths,
    weights: Vec<i64>,
    end: i64,
}

impl Table for Ledger {
    fn lengths(&self) -> &Lengths {
        &self.lengths
    }

    fn layout(&self) -> Layout {
        let tree = |name, width, domain, root| Tree { name, width, salt: SALT_BYTES, domain, root };
        let mut openings: Vec<Opening> = (0..4).map(|column| Opening::base(MAIN, column, 0)).collect();
        openings.extend([FIRST_SUM, SECOND_SUM].map(|tree| Opening::extension(tree, 0, 0)));
        openings.extend([0, 1].map(|part| Opening::extension(QUOTIENT_TREE, part, 0)));
        // a two rows on: a point that the optimizer's table doesn't have.
        openings.extend([Opening::base(MAIN, 0, 2), Opening::base(MAIN, 2, 1)]);
        openings.extend([FIRST_SUM, SECOND_SUM].map(|tree| Opening::extension(tree, 0, 1)));
        openings.extend([Opening::base(START, 0, 0), Opening::sealed(START, Part::Base(0))]);
        Layout {
            trees: vec![
                tree("amounts", 4, Domain::Rows, Root::Sent),
                tree("balances", 1, Domain::Lines, Root::Sealed("of the balances")),
                tree("first sum", 2, Domain::Rows, Root::Sent),
                tree("second sum", 2, Domain::Rows, Root::Sent),
                QUOTIENT,
            ],
            quotient: QUOTIENT_TREE,
            rounds: vec![
                Round { trees: vec![MAIN], work: Some((10, "of sigma")), challenges: 1 },
                Round { trees: vec![FIRST_SUM], work: None, challenges: 1 },
                Round { trees: vec![SECOND_SUM], work: Some((8, "of the composition")), challenges: 1 },
            ],
            openings,
            base: vec![0, 1, 2, 3, 8, 9],
            extension: vec![4, 5, 10, 11],
        }
    }

    fn beginning(&self, sealed: &[Sealed]) -> Vec<u8> {
        let mut bytes = b"a ledger".to_vec();
        let lengths = [self.lengths.log_params, self.lengths.log_steps].map(|length| i64::try_from(length).unwrap());
        let numbers = lengths.iter().chain(&self.weights).chain([&self.end]);
        bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
        bytes.extend(sealed.iter().flat_map(Sealed::to_bytes));
        bytes
    }

    fn periodic(&self) -> Vec<Vec<Val>> {
        self.weights.iter().map(|weight| vec![from_signed(*weight)]).collect()
    }

    fn relations<V, E, R>(&self, row: &Row<'_, V, E>, challenges: &[E], _scratch: &mut Collected<V>, relations: &mut R)
    where
        V: PrimeCharacteristicRing + Copy,
        E: Algebra<V> + Copy,
        R: Relations<V, E>,
    {
        let &[a, b, c, d, a_later, c_next] = row.base else { panic!("six elements of the base field") };
        let &[s, r, s_next, r_next] = row.extension else { panic!("four of the extension") };
        let [sigma, tau] = *challenges else { panic!("two challenges, without the last round's last one") };
        let after = c + row.periodic[0] * a;
        relations.base(Place::Everywhere, b - a * a_later);
        relations.extension(Place::Everywhere, (s_next - s) * (sigma + a) * (sigma + d) - (E::from(d) - a));
        relations.extension(Place::Everywhere, r_next - r - tau * (a - d));
        relations.base(Place::Between, c_next - after);
        relations.tied(Place::First, c, START_OPENING);
        relations.base(Place::Last, after - V::from_i64(self.end));
    }
}

/// A ledger with its amounts.
#[derive(Clone)]
struct Book {
    ledger: Ledger,
    /// a, b, c and d of each row.
    rows: Vec<[Val; 4]>,
    starts: Vec<i64>,
    seed: Seed,
}

impl Book {
    fn new(log_params: usize, log_steps: usize, end: i64) -> Self {
        let lengths = Lengths::new(Preset::Standard, log_params, log_steps).unwrap();
        let steps = 1 << log_steps;
        let weights: Vec<i64> = (0..steps).map(|step| 5 - 3 * step).collect();
        let amounts: Vec<i64> = (0..1_i64 << lengths.log_rows()).map(|row| row * row % 1009 - 400).collect();
        let count = amounts.len();
        let mut rows = Vec::with_capacity(count);
        let mut starts = Vec::new();
        for (line, own) in amounts.chunks_exact(weights.len()).enumerate() {
            let total: i64 = own.iter().zip(&weights).map(|(amount, weight)| amount * weight).sum();
            let mut balance = end - total;
            starts.push(balance);
            for (step, amount) in own.iter().enumerate() {
                let row = line * weights.len() + step;
                let later = amounts[(row + 2) % count];
                rows.push([*amount, amount * later, balance, amounts[(row + 77) % count]].map(from_signed));
                balance += amount * weights[step];
            }
        }
        Self { ledger: Ledger { lengths, weights, end }, rows, starts, seed: Seed::derive("a ledger", &[b"secret"]) }
    }

    /// A column over the extension that goes on from row to row.
    fn sum(&self, step: impl Fn(Val, Val) -> Ext) -> Vec<Val> {
        let mut sum = Ext::ZERO;
        let mut values = Val::zero_vec(padded(2) * self.rows.len());
        for (row, place) in self.rows.iter().zip(values.chunks_exact_mut(padded(2))) {
            place[..2].copy_from_slice(&parts(sum));
            sum += step(row[0], row[3]);
        }
        values
    }

    fn proof(&self, tamper: &impl Tamper) -> Result<TableProof, ProveError> {
        prove_table(self.clone(), &Progress::default(), tamper)
    }

    /// The verdict on what a prover that doesn't check itself makes of the book.
    fn judged(&self, tamper: &impl Tamper) -> Result<(), Error> {
        let proof = self.proof(tamper).unwrap();
        verify_table(&self.ledger, &proof.sealed, &proof.bytes)
    }
}

impl Witnessed for Book {
    type Table = Ledger;

    fn table(&self) -> &Ledger {
        &self.ledger
    }

    fn lines(&self, dft: &Dft, mask: usize) -> Vec<States> {
        vec![States::new(dft, &[(&self.starts, &[7; 32])], mask)]
    }

    fn columns(&mut self, round: usize, challenges: &[Ext]) -> Result<Vec<Val>, ProveError> {
        Ok(match (round, challenges) {
            (0, []) => {
                let mut values = Val::zero_vec(padded(4) * self.rows.len());
                for (row, place) in self.rows.iter().zip(values.chunks_exact_mut(padded(4))) {
                    place[..4].copy_from_slice(row);
                }
                values
            }
            (1, [sigma]) => self.sum(|a, d| (*sigma + a).inverse() - (*sigma + d).inverse()),
            (2, [_, tau]) => self.sum(|a, d| *tau * (a - d)),
            _ => unreachable!("three rounds"),
        })
    }

    fn coins(&self, tree: usize) -> Coins {
        let own = self.seed.child(&tree.to_string());
        Coins { masks: own.child("masks"), salts: own.child("salts") }
    }

    fn seed(&self) -> &Seed {
        &self.seed
    }
}

/// A prover that doesn't check itself, and adds 1 to cells and values.
#[derive(Default)]
struct Liar {
    /// A round, and the rows from which on, and up to which, its column is too high.
    column: Option<(usize, usize, usize)>,
    /// Values at the out-of-domain point.
    values: Vec<usize>,
    /// Two values too high, so that the identity holds.
    hidden: bool,
    lazy: Option<&'static str>,
}

impl Tamper for Liar {
    fn checks(&self) -> bool {
        false
    }
    fn columns(&self, round: usize, values: &mut [Val]) {
        if let Some((own, from, to)) = self.column
            && own == round
        {
            values.chunks_exact_mut(padded(2)).take(to).skip(from).for_each(|row| row[0] += Val::ONE);
        }
    }
    fn out_of_domain(&self, values: &mut [Ext], _point: Ext) {
        for place in &self.values {
            values[*place] += Ext::ONE;
        }
        if self.hidden {
            values[8] += Ext::ONE;
            values[1] += values[0];
        }
    }
    fn works(&self, before: &'static str) -> bool {
        self.lazy != Some(before)
    }
}

fn book() -> &'static Book {
    static BOOK: OnceLock<Book> = OnceLock::new();
    BOOK.get_or_init(|| Book::new(13, 3, 1234))
}

#[test]
fn a_ledger_is_proved_and_verified_by_the_same_loops() {
    for (log_params, log_steps) in [(13, 3), (16, 0), (14, 4)] {
        let book = Book::new(log_params, log_steps, -77);
        let proof = book.proof(&Honest).unwrap();
        assert_eq!(verify_table(&book.ledger, &proof.sealed, &proof.bytes), Ok(()));
        assert_eq!(book.proof(&Honest).unwrap().bytes, proof.bytes, "the same proof");
    }
    let plan = Plan::new(&book().ledger, &book().ledger.layout());
    assert_eq!((plan.relations, plan.ties.len()), (6, 1));
}

#[test]
fn no_cell_of_a_ledger_can_be_changed() {
    let last = book().rows.len() - 1;
    for (row, column) in [(0, 0), (5, 1), (8, 2), (9, 2), (15, 2), (last, 0), (last, 3)] {
        let mut wrong = book().clone();
        wrong.rows[row][column] += Val::ONE;
        assert_eq!(wrong.judged(&Liar::default()), Err(Error::Relations), "{row} {column}");
    }
    // An account that follows from its start and ends elsewhere than it says: each row goes on from
    // the one before.
    let mut wrong = book().clone();
    for step in 0..8 {
        wrong.rows[8 + step][2] += Val::ONE;
    }
    wrong.starts[1] += 1;
    assert_eq!(to_signed(wrong.rows[8][2]), wrong.starts[1]);
    assert_eq!(wrong.judged(&Liar::default()), Err(Error::Relations));
}

#[test]
fn each_round_has_its_own_running_sum() {
    let liar = |round, from, to| Liar { column: Some((round, from, to)), ..Liar::default() };
    for round in [1, 2] {
        // A sum that goes around may begin anywhere, and jumps nowhere.
        assert_eq!(book().judged(&liar(round, 0, usize::MAX)), Ok(()), "{round}");
        assert_eq!(book().judged(&liar(round, 1000, usize::MAX)), Err(Error::Relations), "{round}");
        assert_eq!(book().judged(&liar(round, 3, 4)), Err(Error::Relations), "{round}");
    }
}

#[test]
fn public_values_and_commitments_are_the_statements() {
    // A prover that claims another end, and proves what it has.
    let mut wrong = book().clone();
    wrong.ledger.end += 1;
    assert_eq!(wrong.judged(&Liar::default()), Err(Error::Relations));
    let mut wrong = book().clone();
    wrong.ledger.weights[3] -= 1;
    assert_eq!(wrong.judged(&Liar::default()), Err(Error::Relations));
    let mut wrong = book().clone();
    wrong.starts[4321] += 1;
    assert_eq!(wrong.judged(&Liar::default()), Err(Error::Relations));
    // A true proof under another statement.
    let proof = book().proof(&Honest).unwrap();
    let mut other = book().ledger.clone();
    other.end += 1;
    assert_eq!(verify_table(&other, &proof.sealed, &proof.bytes), Err(Error::ProofOfWork("of sigma")));
    let mut sealed = proof.sealed.clone();
    sealed[0].value += Ext::ONE;
    assert_eq!(verify_table(&book().ledger, &sealed, &proof.bytes), Err(Error::ProofOfWork("of sigma")));
    for sealed in [&[][..], &[proof.sealed[0]; 2]] {
        assert!(matches!(verify_table(&book().ledger, sealed, &proof.bytes), Err(Error::Statement(_))));
    }
    for length in [0, 31, proof.bytes.len() / 2, proof.bytes.len() - 1] {
        assert!(verify_table(&book().ledger, &proof.sealed, &proof.bytes[..length]).is_err());
    }
    let longer = [&proof.bytes[..], &[0]].concat();
    assert_eq!(verify_table(&book().ledger, &proof.sealed, &longer), Err(Error::Length));
}

#[test]
fn values_at_every_point_are_the_polynomials() {
    let sent = book().ledger.layout().sent();
    assert_eq!(sent, START_OPENING + 1);
    for place in 0..sent {
        let liar = Liar { values: vec![place], ..Liar::default() };
        assert_eq!(book().judged(&liar), Err(Error::Relations), "{place}");
    }
    // Two rows on, with the product that goes with it: the identity holds, and no short polynomial
    // has these values.
    let liar = Liar { hidden: true, ..Liar::default() };
    assert_eq!(book().judged(&liar), Err(Error::FinalPolynomial));
}

#[test]
fn the_work_of_each_round_is_asked_for() {
    for before in ["of sigma", "of the composition", "of the point", "of the batch"] {
        let liar = Liar { lazy: Some(before), ..Liar::default() };
        assert_eq!(book().judged(&liar), Err(Error::ProofOfWork(before)));
    }
}
