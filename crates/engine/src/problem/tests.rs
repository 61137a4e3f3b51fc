//! What a client may read of an error, and what not.

use super::*;

const LIMITS: WorkLimits = WorkLimits {
    first_byte_ms: 1,
    total_ms: 1,
    memory_bytes: 1,
    spill_bytes: 1,
    answer_bytes: 1,
    answer_rows: 1,
    row_bytes: 1,
};

#[test]
fn values_of_the_data_never_go_out() {
    let secret = "SECRET-BOB to value of Int64";
    let messages = [
        format!("Cannot cast string '{secret}' to value of Int32 type"),
        format!("Error parsing timestamp from '{secret}': error parsing date"),
        format!("Some function did not like {secret}"),
        format!("Overflow happened on: {secret} + 1"),
    ];
    for message in messages {
        let errors = [
            DataFusionError::Execution(message.clone()),
            DataFusionError::ArrowError(Box::new(ArrowError::CastError(message.clone())), None),
            DataFusionError::ArrowError(Box::new(ArrowError::ComputeError(message.clone())), None),
            DataFusionError::ArrowError(Box::new(ArrowError::InvalidArgumentError(message.clone())), None),
            DataFusionError::Internal(message.clone()),
            DataFusionError::ResourcesExhausted(message.clone()),
        ];
        for error in errors {
            let problem = of(&error, &LIMITS);
            assert!(!problem.detail.contains("SECRET"), "{problem}");
        }
    }
}

#[test]
fn a_broken_pattern_is_the_clients_and_is_not_repeated() {
    let error = DataFusionError::External("regex parse error:\n    (SECRET\n    ^\nerror: unclosed group".into());
    let problem = of(&error, &LIMITS);
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    assert!(problem.detail.contains("regular expression") && !problem.detail.contains("SECRET"), "{problem}");
    assert_eq!(of(&DataFusionError::External("disk on fire".into()), &LIMITS).kind, ProblemKind::Internal);
}

#[test]
fn planning_speaks_in_our_words() {
    let check = |message: &str, expect: &str| assert_eq!(invalid_sql(message).detail, expect, "{message}");
    check("Cannot coerce Utf8 + Int64 to valid types", "Cannot coerce text + int64 to valid types");
    check("types 'abs(Utf8View, Decimal128(3, 1))'.", "types 'abs(text, decimal(3, 1))'.");
    check(
        "Execution error: Function 'coalesce' user-defined coercion failed with: Execution error: coalesce must have at \
         least one argument. No function matches the given name and argument types 'coalesce()'.",
        "coalesce must have at least one argument.",
    );
    for inner in [
        "type_coercion\ncaused by\nError",
        "List(Field { name: \"item\" })",
        "a bug in DataFusion's code",
        "Cannot coerce interval(MonthDayNano) to text",
        "Map(\"entries\": non-null struct(text))",
        "takes OneOf(Exact(text))",
        "Aggregate cannot retract_batch",
        "While expanding wildcard",
        "Tdigest max_size",
    ] {
        assert!(invalid_sql(inner).detail.starts_with("The statement cannot be planned"), "{inner}");
    }
}

#[test]
fn types_that_do_not_fit_are_the_statements_fault() {
    let check = |message: &str, expect: &str| {
        let problem = of(&DataFusionError::Internal(message.into()), &LIMITS);
        assert_eq!(problem.kind, ProblemKind::InvalidSql, "{message}");
        assert!(problem.detail.starts_with(expect), "{problem}");
    };
    check(
        "Function 'sha384' failed to match any signature, errors: Error during planning: Function 'sha384' requires String",
        "sha384 does not take these arguments",
    );
    check(
        "Failed to coerce types Int64 and Timestamp(µs) in BETWEEN expression.\nThis issue was likely caused by",
        "BETWEEN cannot compare int64 and timestamp(",
    );
    check(
        "Failed to coerce types Int64 and List(Int64) in BETWEEN expression",
        "BETWEEN cannot compare int64 and list(int64)",
    );
    check("Unavailable default cast for native type String from physical type Struct", "A function does not take");
    check("Min/Max accumulator not implemented for type Map", "min and max do not take");
    check("Uncomparable values: List([{1: 1}]), List([{1: 1}]).", "min and max do not take values of this type.");
    check("Cannot run range queries on datatype: Binary", "A window cannot measure distances");
    check("Unsupported predicate type.\nThis issue was likely caused by", "A window function cannot stand in WHERE");
    let problem = of(&DataFusionError::Internal("array_resize: failed to convert size to usize".into()), &LIMITS);
    assert_eq!(problem.kind, ProblemKind::QueryFailed);
    for message in ["Function 'a' has no body", "Failed to coerce types", "Input field name a does not match"] {
        assert_eq!(of(&DataFusionError::Internal(message.into()), &LIMITS).kind, ProblemKind::Internal, "{message}");
    }
}

#[test]
fn unknown_columns_name_their_neighbours() {
    let valid = ["borough", "boro_code", "year"].map(Column::new_unqualified);
    let error = SchemaError::FieldNotFound {
        field: Box::new(Column::new_unqualified("borrough")),
        valid_fields: valid.to_vec(),
    };
    let problem = of_schema(&error);
    assert_eq!(problem.kind, ProblemKind::UnknownColumn);
    assert!(problem.detail.contains("Did you mean borough"), "{problem}");
    let error = SchemaError::FieldNotFound {
        field: Box::new(Column::new_unqualified("nothing")),
        valid_fields: vec![Column::new_unqualified("Int64(1)"), Column::new_unqualified("year")],
    };
    assert!(of_schema(&error).detail.ends_with("There are: year."));
}

#[test]
fn left_out_functions_are_told_as_such() {
    let problem = of_plan("Invalid function 'input_file_name'.\nDid you mean 'initcap'?");
    assert_eq!(problem.kind, ProblemKind::FunctionNotAllowed);
    assert_eq!(problem.detail, "There is no function input_file_name. Did you mean initcap?");
}
