//! The table of the integers below 2^16, and the two AIRs as one type, since a batch is of one.

use std::borrow::Cow;

use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use zk_autograd_air::Val;

use crate::relations::Steps;
use crate::segment::BUS;

/// The integers below 2^16, each with how often it is looked up.
#[derive(Clone, Debug)]
pub struct Table;

/// How many integers the table has.
pub const TABLE: usize = 1 << 16;

impl BaseAir<Val> for Table {
    fn width(&self) -> usize {
        1
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<Val>> {
        Some(RowMajorMatrix::new((0..TABLE).map(Val::from_usize).collect(), 1))
    }

    fn preprocessed_width(&self) -> usize {
        1
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }
}

impl<AB: AirBuilder<F = Val> + InteractionBuilder> Air<AB> for Table {
    fn eval(&self, builder: &mut AB) {
        let count: AB::Expr = builder.main().current_slice()[0].into();
        let value: AB::Expr = builder.preprocessed().current_slice()[0].into();
        builder.push_interaction(BUS, [value], Count::provided(-count));
    }
}

/// Either of the two.
#[derive(Clone, Debug)]
pub enum Oracle {
    /// The steps.
    Steps(Box<Steps>),
    /// The table.
    Table(Table),
}

impl BaseAir<Val> for Oracle {
    fn width(&self) -> usize {
        match self {
            Self::Steps(steps) => steps.width(),
            Self::Table(table) => table.width(),
        }
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<Val>> {
        match self {
            Self::Steps(steps) => steps.preprocessed_trace(),
            Self::Table(table) => table.preprocessed_trace(),
        }
    }

    fn preprocessed_width(&self) -> usize {
        match self {
            Self::Steps(steps) => steps.preprocessed_width(),
            Self::Table(table) => table.preprocessed_width(),
        }
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        Vec::new()
    }

    fn main_next_row_columns(&self) -> Vec<usize> {
        match self {
            Self::Steps(steps) => steps.main_next_row_columns(),
            Self::Table(table) => table.main_next_row_columns(),
        }
    }

    fn num_periodic_columns(&self) -> usize {
        match self {
            Self::Steps(steps) => steps.num_periodic_columns(),
            Self::Table(table) => table.num_periodic_columns(),
        }
    }

    fn periodic_columns(&self) -> Cow<'_, [Vec<Val>]> {
        match self {
            Self::Steps(steps) => steps.periodic_columns(),
            Self::Table(table) => table.periodic_columns(),
        }
    }
}

impl<AB: AirBuilder<F = Val> + InteractionBuilder> Air<AB> for Oracle {
    fn eval(&self, builder: &mut AB) {
        match self {
            Self::Steps(steps) => steps.eval(builder),
            Self::Table(table) => table.eval(builder),
        }
    }
}
