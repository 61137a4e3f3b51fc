//! The functions that statements may call, registered in this one place.
//!
//! Today it is DataFusion's set less [`LEFT_OUT`]; a reviewed allow-list, with versions of ours that bound what
//! they allocate and check integer overflow, takes its place here. Table functions are not registered at all.

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};

/// Names and aliases that are not offered, with the reason.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    ("input_file_name", "tells where a file lies"),
    ("file_row_index", "tells how files are cut"),
    ("version", "tells the engine's version"),
    ("arrow_metadata", "tells fields' internal metadata"),
    ("arrow_field", "tells fields' internal metadata"),
    ("with_metadata", "writes fields' metadata, which formats interpret"),
    ("generate_series", "makes arrays of any length from two numbers"),
    ("range", "makes arrays of any length from two numbers"),
];

/// The functions on offer.
pub(crate) struct Functions {
    scalar: Vec<Arc<ScalarUDF>>,
    higher_order: Vec<Arc<HigherOrderUDF>>,
    aggregate: Vec<Arc<AggregateUDF>>,
    window: Vec<Arc<WindowUDF>>,
}

impl Functions {
    /// All that is on offer.
    pub(crate) fn offered() -> Self {
        let mut scalar = SessionStateDefaults::default_scalar_functions();
        scalar.retain(|function| is_offered(function.name()) && function.aliases().iter().all(|a| is_offered(a)));
        Self {
            scalar,
            higher_order: SessionStateDefaults::default_higher_order_functions(),
            aggregate: SessionStateDefaults::default_aggregate_functions(),
            window: SessionStateDefaults::default_window_functions(),
        }
    }

    /// Gives a session these functions and no others.
    pub(crate) fn register(self, builder: SessionStateBuilder) -> SessionStateBuilder {
        builder
            .with_scalar_functions(self.scalar)
            .with_higher_order_functions(self.higher_order)
            .with_aggregate_functions(self.aggregate)
            .with_window_functions(self.window)
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
    }
}

fn is_offered(name: &str) -> bool {
    LEFT_OUT.iter().all(|(left_out, _)| *left_out != name)
}
