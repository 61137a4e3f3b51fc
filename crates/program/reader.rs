//! `portico reader`: reads one staged file, within limits. What a data dictionary has computed of the rows is computed by the
//! engine, which nothing else on the road in links.

use portico_engine::Expression;
use portico_publish::{Compiled, Expressions};

use crate::args::Reader;

/// Reads the file that the order on standard input is about.
pub(crate) fn run(reader: &Reader) -> anyhow::Result<()> {
    let expressions = Expressions {
        parse: Expression::parse,
        compile: |text, schema| {
            let expression = Expression::new(text, schema)?;
            let data_type = expression.data_type().clone();
            Ok(Compiled { data_type, compute: Box::new(move |batch| expression.compute(batch)) })
        },
    };
    Ok(portico_publish::read_staged(&reader.scratch, expressions)?)
}
