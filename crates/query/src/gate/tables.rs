//! The tables of a FROM: which kinds there are, and what their names stand for.

use sqlparser::ast::{
    Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, TableAlias, TableFactor, TableFunctionArgs,
    TableWithJoins,
};
use sqlparser::tokenizer::{Location, Span};

use super::columns::{Columns, Frame, Width};
use super::fault::{Checked, no_dataset, not_allowed, not_offered, place};
use super::functions;
use super::names::{
    Cost, DATASET_MARK, INFORMATION_MARK, InformationTable, Meaning, TableUse, marked, meaning, normal, normal_parts,
    written,
};
use super::walk::Walk;

/// Columns that one of our own tables has at most.
const INFORMATION_COLUMNS: usize = 16;

impl Walk<'_> {
    /// The tables of one FROM, with their joins.
    pub(super) fn from(&mut self, from: &mut [TableWithJoins]) -> Checked {
        let several = from.len() > 1;
        self.seen.more_than_scan |= several;
        for table in from {
            self.table_with_joins(table)?;
        }
        if let (true, Some(frame)) = (several, self.frames.last_mut()) {
            // What joins them stands in WHERE: any column may be in an equation with the heaviest.
            frame.at_least(frame.heaviest());
        }
        Ok(())
    }

    /// Adds a relation to what the SELECT may name.
    fn relation(&mut self, alias: Option<&TableAlias>, columns: Columns) {
        let name = alias.map(|alias| normal(&alias.name));
        if let Some(frame) = self.frames.last_mut() {
            frame.add(name, columns.renamed(alias));
        }
    }

    fn table_with_joins(&mut self, table: &mut TableWithJoins) -> Checked {
        let TableWithJoins { relation, joins } = table;
        self.seen.more_than_scan |= !joins.is_empty();
        self.table_factor(relation)?;
        for join in joins {
            self.node()?;
            let Join { relation, global, join_operator } = join;
            if *global {
                return Err(not_offered("GLOBAL JOIN"));
            }
            self.table_factor(relation)?;
            self.heaviest = 1;
            self.join_operator(join_operator)?;
            if let Some(frame) = self.frames.last_mut() {
                frame.at_least(self.heaviest);
            }
        }
        Ok(())
    }

    fn join_operator(&mut self, operator: &mut JoinOperator) -> Checked {
        let constraint = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::CrossJoin(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::RightSemi(constraint)
            | JoinOperator::LeftAnti(constraint)
            | JoinOperator::RightAnti(constraint) => constraint,
            JoinOperator::Semi(_) | JoinOperator::Anti(_) => {
                return Err(not_allowed("Write LEFT SEMI JOIN or LEFT ANTI JOIN, or EXISTS."));
            }
            JoinOperator::CrossApply | JoinOperator::OuterApply => {
                return Err(not_allowed("Write CROSS JOIN LATERAL instead of APPLY."));
            }
            JoinOperator::AsOf { .. } => return Err(not_offered("ASOF JOIN")),
            JoinOperator::StraightJoin(_) => return Err(not_offered("STRAIGHT_JOIN")),
            JoinOperator::ArrayJoin | JoinOperator::LeftArrayJoin | JoinOperator::InnerArrayJoin => {
                return Err(not_offered("ARRAY JOIN"));
            }
        };
        match constraint {
            JoinConstraint::On(condition) => self.inner(condition),
            JoinConstraint::Using(columns) => {
                self.cap("columns in one USING", columns.len(), self.limits.projected_columns)?;
                columns.iter().filter_map(|name| name.0.last()?.as_ident()).try_for_each(|name| self.column(name))
            }
            JoinConstraint::Natural => {
                self.heaviest = self.frames.last().map_or(1, Frame::heaviest);
                self.written_out(self.heaviest)
            }
            JoinConstraint::None => Ok(()),
        }
    }

    fn table_factor(&mut self, factor: &mut TableFactor) -> Checked {
        self.node()?;
        match factor {
            TableFactor::Table { .. } => self.table(factor),
            TableFactor::Derived { lateral, subquery, alias, sample } => {
                if sample.is_some() {
                    return Err(no_sample());
                }
                self.seen.more_than_scan |= *lateral;
                check_optional_alias(alias.as_ref())?;
                // Only with LATERAL does the query see the tables before it.
                let before = if *lateral { None } else { self.frames.last_mut().map(std::mem::take) };
                let columns = self.query(subquery)?;
                if let (Some(before), Some(frame)) = (before, self.frames.last_mut()) {
                    *frame = before;
                }
                self.relation(alias.as_ref(), columns);
                Ok(())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                check_optional_alias(alias.as_ref())?;
                self.nest(|walk| walk.table_with_joins(table_with_joins))
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset, with_offset_alias, with_ordinality } => {
                if *with_offset || with_offset_alias.is_some() || *with_ordinality {
                    return Err(not_offered("UNNEST with a position"));
                }
                check_optional_alias(alias.as_ref())?;
                self.seen.more_than_scan = true;
                self.add(Cost { relations: 1, ..Cost::default() })?;
                self.inner_all(array_exprs.iter_mut())?;
                self.relation(alias.as_ref(), Columns::plain(Width::fixed(array_exprs.len())));
                Ok(())
            }
            TableFactor::Function { name, .. } => Err(functions::refused(&written(name))),
            TableFactor::TableFunction { .. } => Err(not_offered("TABLE(…) around a function")),
            TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => Err(not_offered("JSON_TABLE")),
            TableFactor::XmlTable { .. } => Err(not_offered("XMLTABLE")),
            TableFactor::Pivot { .. } | TableFactor::Unpivot { .. } => {
                Err(not_allowed("PIVOT and UNPIVOT are not supported: use FILTER or CASE with GROUP BY."))
            }
            TableFactor::MatchRecognize { .. } => Err(not_offered("MATCH_RECOGNIZE")),
            TableFactor::SemanticView { .. } => Err(not_offered("SEMANTIC_VIEW")),
        }
    }

    fn table(&mut self, factor: &mut TableFactor) -> Checked {
        let TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } = factor
        else {
            return Ok(());
        };
        if sample.is_some() {
            return Err(no_sample());
        }
        if !with_hints.is_empty() || !partitions.is_empty() || !index_hints.is_empty() {
            return Err(not_offered("A hint or partition after a table's name"));
        }
        if version.is_some() || json_path.is_some() || *with_ordinality {
            return Err(not_offered("This clause after a table's name"));
        }
        check_optional_alias(alias.as_ref())?;
        if let Some(args) = args {
            let TableFunctionArgs { args, settings } = args;
            let function = normal_parts(name).unwrap_or_default().join(".");
            if !functions::is_series(&function) || settings.is_some() {
                return Err(functions::refused(&written(name)));
            }
            functions::check_series_table(&function, args)?;
            args.iter_mut().try_for_each(|argument| self.argument(argument))?;
            self.seen.more_than_scan = true;
            self.relation(alias.as_ref(), Columns::plain(Width::fixed(1)));
            return self.add(Cost { relations: 1, ..Cost::default() });
        }
        self.named_table(name, alias)
    }

    /// Decides what a table's name stands for; a dataset's name gives way to a mark, and to an alias so that columns
    /// may still be qualified with the name.
    fn named_table(&mut self, name: &mut ObjectName, alias: &mut Option<TableAlias>) -> Checked {
        let Some(last) = name.0.last().and_then(ObjectNamePart::as_ident).cloned() else {
            return Err(functions::refused(&written(name)));
        };
        let folded = self.versioned.remove(&last.span.start);
        let Some(parts) = normal_parts(name) else {
            return Err(functions::refused(&written(name)));
        };
        if let ([bare], None) = (parts.as_slice(), &folded)
            && let Some((cost, columns)) = self.scopes.find(bare)
        {
            let name = TableAlias { explicit: true, name: last, columns: Vec::new(), at: None };
            self.relation(alias.as_ref().or(Some(&name)), columns);
            return self.add(cost);
        }
        self.add(Cost { relations: 1, ..Cost::default() })?;
        let (mark, natural, width) = match meaning(&parts) {
            Meaning::Information(table) => {
                let mark = marked(INFORMATION_MARK, index_of(&mut self.seen.information, table));
                (mark, None, Width::fixed(INFORMATION_COLUMNS))
            }
            Meaning::Dataset { dataset, version } => {
                let natural = version.filter(|_| folded.is_none()).map(|_| last.value.clone());
                let place = name.0.first().and_then(ObjectNamePart::as_ident).and_then(|first| place(first.span.start));
                let written = written(name);
                let index = self.table_use(TableUse { written, dataset, version, position: place });
                (marked(DATASET_MARK, index), natural, Width::dataset(index))
            }
        };
        if alias.is_none() {
            if parts.len() > 1 {
                let mut qualifier = parts;
                if let (Some(word), Some(end)) = (&folded, qualifier.last_mut()) {
                    *end = normal(&plain_ident(&word.value, word.quote_style));
                }
                self.qualifiers.insert(qualifier);
            }
            if natural.is_none() {
                let ident = match &folded {
                    Some(word) => plain_ident(&word.value, word.quote_style),
                    None => plain_ident(&last.value, last.quote_style),
                };
                *alias = Some(TableAlias { explicit: true, name: ident, columns: Vec::new(), at: None });
            }
        }
        *name = mark;
        let name =
            alias.clone().or_else(|| Some(TableAlias { explicit: true, name: last, columns: Vec::new(), at: None }));
        self.relation(name.as_ref(), Columns::plain(width));
        Ok(())
    }

    fn table_use(&mut self, table: TableUse) -> usize {
        let same = |known: &TableUse| match (&known.dataset, &table.dataset) {
            (Some(known_name), Some(name)) => known_name == name && known.version == table.version,
            (None, None) => known.written == table.written,
            (Some(_), None) | (None, Some(_)) => false,
        };
        if let Some(index) = self.seen.tables.iter().position(same) {
            return index;
        }
        self.seen.tables.push(table);
        self.seen.tables.len() - 1
    }

    /// The dataset of DESCRIBE, which stands in no FROM.
    ///
    /// # Errors
    /// `NotFound` for a name that is not a dataset's.
    pub(super) fn described(&mut self, name: &ObjectName) -> Checked<usize> {
        let last = name.0.last().and_then(ObjectNamePart::as_ident);
        let location = last.map_or(Location::empty(), |ident| ident.span.start);
        self.versioned.remove(&location);
        match meaning(&normal_parts(name).unwrap_or_default()) {
            Meaning::Dataset { dataset, version } => {
                let position = place(location);
                Ok(self.table_use(TableUse { written: written(name), dataset, version, position }))
            }
            Meaning::Information(_) => Err(no_dataset(&written(name), place(location))),
        }
    }
}

fn index_of(known: &mut Vec<InformationTable>, table: InformationTable) -> usize {
    match known.iter().position(|other| *other == table) {
        Some(index) => index,
        None => {
            known.push(table);
            known.len() - 1
        }
    }
}

/// An identifier quoted as the engine quotes, or not at all.
fn plain_ident(value: &str, quote_style: Option<char>) -> Ident {
    Ident { value: value.to_owned(), quote_style: quote_style.map(|_| '"'), span: Span::empty() }
}

fn check_optional_alias(alias: Option<&TableAlias>) -> Checked {
    alias.map_or(Ok(()), check_alias)
}

/// Refuses in an alias what the engine would ignore.
pub(super) fn check_alias(alias: &TableAlias) -> Checked {
    let TableAlias { explicit: _, name: _, columns, at } = alias;
    if at.is_some() || columns.iter().any(|column| column.data_type.is_some()) {
        return Err(not_offered("A type or position in an alias"));
    }
    Ok(())
}

fn no_sample() -> portico_model::problem::Problem {
    not_allowed("TABLESAMPLE and SAMPLE are not supported: filter or use LIMIT.")
}
