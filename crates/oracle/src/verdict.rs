//! What each of the two statements says of a small trace.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use p3_air::Air as _;
use p3_air::{AirBuilder, BaseAir, RowWindow, check_all_constraints};
use p3_field::{PrimeCharacteristicRing, PrimeField64};
use p3_lookup::debug_util::{LookupDebugInstance, check_lookups};
use p3_lookup::{Count, InteractionBuilder, Lookups};
use p3_matrix::dense::RowMajorMatrix;
use zk_autograd_air::field::from_signed;
use zk_autograd_air::{Air, Collected, Ext, Periodic, RuleError, Val, Variant, evaluate};

use crate::relations::{Ends, Steps};
use crate::segment::{Column, Segment};
use crate::table::{TABLE, Table};

/// The rows of a segment, parameter by parameter, and the states at both ends. Rows have the first statement's columns.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Row by row.
    pub rows: Vec<Vec<Val>>,
    /// The states before and after.
    pub ends: Ends,
}

/// What doesn't hold on a row; relations and lookups by their place in the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A relation isn't zero.
    Relation(usize),
    /// A looked-up value isn't in the table.
    Lookup(usize),
    /// The parameter's first row begins with another state than the segment.
    Before,
    /// The next row, or the state after the segment, isn't what the row says.
    After,
}

/// The verdict of `zk-autograd-air`, row by row: everything that doesn't hold.
///
/// # Errors
/// If the segment's constants lie outside their range.
pub fn first(segment: &Segment, trace: &Trace) -> Result<Vec<Fault>, RuleError> {
    let (air, constants) = Air::new(
        &Variant { rule: segment.rule, s: segment.s, decay: segment.decay, weights_in_range: segment.weights_in_range },
        &segment.steps,
    )?;
    let states = air.rule().states().len();
    let steps = segment.steps.len();
    let mut collected = Collected::default();
    let mut faults = Vec::new();
    for (index, row) in trace.rows.iter().enumerate() {
        let (parameter, step) = (index / steps, index % steps);
        let periodic = Periodic::from_array(constants.periodic[step].map(from_signed));
        collected.clear();
        evaluate(&air, row, &periodic, &mut collected);
        let broken = collected.zeros.iter().enumerate().filter(|(_, value)| **value != Val::ZERO);
        faults.extend(broken.map(|(which, _)| Fault::Relation(which)));
        let outside = collected.ranges.iter().enumerate().filter(|(_, value)| value.as_canonical_u64() >= 1 << 16);
        faults.extend(outside.map(|(which, _)| Fault::Lookup(which)));
        if step == 0 && row[..states] != trace.ends.before[parameter][..] {
            faults.push(Fault::Before);
        }
        let next = if step + 1 == steps { &trace.ends.after[parameter][..] } else { &trace.rows[index + 1][..states] };
        if collected.nexts != next {
            faults.push(Fault::After);
        }
    }
    Ok(faults)
}

/// The verdict of Plonky3's checkers on the second statement, for one set of relations.
pub struct Second {
    segment: Segment,
    lookups: Lookups<Val>,
    table: Lookups<Val>,
}

impl Second {
    /// Reads the lookups of the segment's relations.
    #[must_use]
    pub fn new(segment: &Segment) -> Self {
        let steps = Steps::new(segment.clone(), None);
        Self {
            segment: segment.clone(),
            lookups: Lookups::from_air::<Ext, _>(&steps),
            table: Lookups::from_air::<Ext, _>(&Table),
        }
    }

    /// Whether the relations hold on every row, the states meet, and the lookups balance for some multiplicities.
    #[must_use]
    pub fn accepts(&self, trace: &Trace) -> bool {
        let air = Steps::new(self.segment.clone(), Some(trace.ends.clone()));
        let main = matrix(&air, &trace.rows);
        if !check_all_constraints(&air, &main, &[], Some(1)).failures.is_empty() {
            return false;
        }
        let counts = multiplicities(&air, &main);
        // Integers that nobody looks up add nothing to the balance.
        let used: Vec<usize> = (0..TABLE).filter(|value| counts[*value] != 0).collect();
        let column = |value: &dyn Fn(usize) -> u64| {
            RowMajorMatrix::new(used.iter().map(|entry| Val::from_u64(value(*entry))).collect(), 1)
        };
        let (values, counts) = (column(&|entry| entry as u64), column(&|entry| u64::from(counts[entry])));
        let (none, values) = (None, Some(values));
        let instances = [
            LookupDebugInstance {
                main_trace: &main,
                preprocessed_trace: &none,
                public_values: &[],
                lookups: &self.lookups,
                permutation_challenges: &[],
            },
            LookupDebugInstance {
                main_trace: &counts,
                preprocessed_trace: &values,
                public_values: &[],
                lookups: &self.table,
                permutation_challenges: &[],
            },
        ];
        completes(|| check_lookups(&instances)).is_some()
    }
}

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// The result of work that says no by panicking, as Plonky3's checkers do. Their message is not printed.
pub fn completes<T>(work: impl FnOnce() -> T) -> Option<T> {
    static FILTER: Once = Once::new();
    FILTER.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                print(panic);
            }
        }));
    });
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(false);
    result.ok()
}

/// The rows of the second statement: those of the first, and Adam's `c0`, which follows from them.
#[must_use]
pub fn matrix(air: &Steps, rows: &[Vec<Val>]) -> RowMajorMatrix<Val> {
    let mut values = Vec::with_capacity(rows.len() * air.width());
    for (index, row) in rows.iter().enumerate() {
        values.extend_from_slice(row);
        values.extend(low_limb(air.segment(), row, index % air.segment().steps.len()));
    }
    RowMajorMatrix::new(values, air.width())
}

/// `2 D - 1 - r - 2^16 c1` of a row, if it is one of Adam's.
#[must_use]
pub fn low_limb(segment: &Segment, row: &[Val], step: usize) -> Option<Val> {
    let columns = segment.columns();
    let at = |column: Column| columns.iter().position(|own| *own == column).map(|place| row[place]);
    let divisor = at(Column::S)? + from_signed(segment.steps[step].eps);
    Some(divisor.double() - Val::ONE - at(Column::R0)? - (at(Column::R1)? + at(Column::C1)?) * Val::from_u32(1 << 16))
}

/// How often each integer of the table is looked up.
#[must_use]
pub fn multiplicities(air: &Steps, main: &RowMajorMatrix<Val>) -> Vec<u32> {
    let mut counts = vec![0; TABLE];
    let steps = air.segment().steps.len();
    let ends = vec![Val::ZERO; air.preprocessed_width()];
    let period: Vec<Vec<Val>> = (0..steps).map(|step| air.periodic_values(step)).collect();
    for (index, row) in main.values.chunks_exact(air.width()).enumerate() {
        let mut reader = Reader {
            main: RowWindow::from_two_rows(row, row),
            ends: RowWindow::from_two_rows(&ends, &ends),
            periodic: &period[index % steps],
            sent: Vec::new(),
        };
        air.eval(&mut reader);
        for value in reader.sent {
            if let Some(count) = usize::try_from(value.as_canonical_u64()).ok().and_then(|value| counts.get_mut(value))
            {
                *count += 1;
            }
        }
    }
    counts
}

/// Evaluates one row and keeps what it sends to the table.
struct Reader<'a> {
    main: RowWindow<'a, Val>,
    ends: RowWindow<'a, Val>,
    periodic: &'a [Val],
    sent: Vec<Val>,
}

impl<'a> AirBuilder for Reader<'a> {
    type F = Val;
    type Expr = Val;
    type Var = Val;
    type PreprocessedWindow = RowWindow<'a, Val>;
    type MainWindow = RowWindow<'a, Val>;
    type PublicVar = Val;
    type PeriodicVar = Val;

    fn main(&self) -> Self::MainWindow {
        self.main
    }

    fn preprocessed(&self) -> &Self::PreprocessedWindow {
        &self.ends
    }

    fn is_first_row(&self) -> Val {
        Val::ZERO
    }

    fn is_last_row(&self) -> Val {
        Val::ZERO
    }

    fn is_transition(&self) -> Val {
        Val::ZERO
    }

    fn assert_zero<I: Into<Val>>(&mut self, _value: I) {}

    fn periodic_values(&self) -> &[Val] {
        self.periodic
    }
}

impl InteractionBuilder for Reader<'_> {
    fn push_interaction<E: Into<Val>>(
        &mut self,
        _bus: &str,
        fields: impl IntoIterator<Item = E>,
        _count: impl Into<Count<Val>>,
    ) {
        self.sent.extend(fields.into_iter().map(Into::into));
    }

    fn push_local_interaction(&mut self, _tuples: impl IntoIterator<Item = (Vec<Val>, Count<Val>)>) {}
}
