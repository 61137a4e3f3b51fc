//! The functions that there are, in the server's own list: the second, independent one. A test compares it with the
//! record of the worker's review.

/// Every name, aliases included, in the order of their letters; with `unnest`, which is syntax to the engine.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "abs", "acos", "acosh", "any_value", "approx_distinct", "approx_median", "approx_percentile_cont",
    "approx_percentile_cont_with_weight", "array_add", "array_agg", "array_any_value", "array_append", "array_avg",
    "array_cat", "array_compact", "array_concat", "array_contains", "array_dims", "array_distance",
    "array_distinct", "array_element", "array_empty", "array_except", "array_extract", "array_has", "array_has_all",
    "array_has_any", "array_indexof", "array_intersect", "array_join", "array_length", "array_max", "array_min",
    "array_ndims", "array_normalize", "array_pop_back", "array_pop_front", "array_position", "array_positions",
    "array_prepend", "array_product", "array_push_back", "array_push_front", "array_remove", "array_remove_all",
    "array_remove_n", "array_repeat", "array_replace", "array_replace_all", "array_replace_n", "array_resize",
    "array_reverse", "array_scale", "array_slice", "array_sort", "array_subtract", "array_sum", "array_to_string",
    "array_union", "arrays_overlap", "arrays_zip", "arrow_typeof", "ascii", "asin", "asinh", "atan", "atan2",
    "atanh", "avg", "bit_and", "bit_length", "bit_or", "bit_xor", "bool_and", "bool_or", "btrim", "cardinality",
    "cbrt", "ceil", "char_length", "character_length", "chr", "coalesce", "concat", "concat_ws", "contains", "corr",
    "cos", "cosh", "cosine_distance", "cot", "count", "covar", "covar_pop", "covar_samp", "cume_dist",
    "current_date", "current_time", "current_timestamp", "date_bin", "date_format", "date_part", "date_trunc",
    "datepart", "datetrunc", "decode", "degrees", "dense_rank", "digest", "dot_product", "element_at", "empty",
    "encode", "ends_with", "exp", "factorial", "find_in_set", "first_value", "flatten", "floor", "from_unixtime",
    "gcd", "generate_series", "get_field", "greatest", "grouping", "ifnull", "initcap", "inner_product", "instr",
    "isnan", "iszero", "lag", "last_value", "lcm", "lead", "least", "left", "length", "levenshtein", "list_add",
    "list_any_value", "list_append", "list_avg", "list_cat", "list_compact", "list_concat", "list_contains",
    "list_dims", "list_distance", "list_distinct", "list_element", "list_empty", "list_except", "list_extract",
    "list_has", "list_has_all", "list_has_any", "list_indexof", "list_intersect", "list_join", "list_length",
    "list_max", "list_ndims", "list_normalize", "list_pop_back", "list_pop_front", "list_position",
    "list_positions", "list_prepend", "list_product", "list_push_back", "list_push_front", "list_remove",
    "list_remove_all", "list_remove_n", "list_repeat", "list_replace", "list_replace_all", "list_replace_n",
    "list_resize", "list_reverse", "list_scale", "list_slice", "list_sort", "list_subtract", "list_sum",
    "list_to_string", "list_union", "list_zip", "ln", "log", "log10", "log2", "lower", "lpad", "ltrim",
    "make_array", "make_date", "make_list", "make_time", "map", "map_entries", "map_extract", "map_keys",
    "map_values", "max", "md5", "mean", "median", "min", "named_struct", "nanvl", "now", "nth_value", "ntile",
    "nullif", "nvl", "nvl2", "octet_length", "overlay", "percent_rank", "percentile_cont", "pi", "position", "pow",
    "power", "quantile_cont", "radians", "rand", "random", "range", "rank", "regexp_count", "regexp_instr",
    "regexp_like", "regexp_match", "regexp_replace", "regr_avgx", "regr_avgy", "regr_count", "regr_intercept",
    "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "repeat", "replace", "reverse", "right", "round",
    "row", "row_number", "rpad", "rtrim", "sha224", "sha256", "sha384", "sha512", "signum", "sin", "sinh",
    "split_part", "sqrt", "starts_with", "stddev", "stddev_pop", "stddev_samp", "string_agg", "string_to_array",
    "string_to_list", "strpos", "struct", "substr", "substr_index", "substring", "substring_index", "sum", "tan",
    "tanh", "to_char", "to_date", "to_hex", "to_local_time", "to_time", "to_timestamp", "to_timestamp_micros",
    "to_timestamp_millis", "to_timestamp_nanos", "to_timestamp_seconds", "to_unixtime", "today", "translate",
    "trim", "trunc", "unnest", "upper", "uuid", "var", "var_pop", "var_population", "var_samp", "var_sample",
];

/// What to write instead of functions that other systems have, or that are refused here.
#[rustfmt::skip]
const INSTEAD: &[(&str, &str)] = &[
    ("array_filter", "unnest with WHERE"), ("array_transform", "unnest"), ("arrow_cast", "CAST(… AS type)"),
    ("arrow_try_cast", "TRY_CAST(… AS type)"), ("bool_xor", "sum with modulo"), ("cast_to_type", "CAST(… AS type)"),
    ("date_add", "+ INTERVAL '1' DAY"), ("date_diff", "date_part on the difference, or subtraction"),
    ("date_sub", "- INTERVAL '1' DAY"), ("datediff", "subtraction"), ("day", "extract(DAY FROM …)"),
    ("group_concat", "string_agg"), ("hour", "extract(HOUR FROM …)"), ("if", "CASE WHEN … THEN … ELSE … END"),
    ("iff", "CASE WHEN … THEN … ELSE … END"), ("iif", "CASE WHEN … THEN … ELSE … END"), ("isnull", "IS NULL"),
    ("len", "length"), ("list", "array_agg"), ("list_aggregate", "unnest with GROUP BY"),
    ("list_filter", "unnest with WHERE"), ("list_transform", "unnest"), ("list_value", "make_array"),
    ("listagg", "string_agg"), ("minute", "extract(MINUTE FROM …)"), ("mode", "count with ORDER BY and LIMIT 1"),
    ("month", "extract(MONTH FROM …)"), ("percentile_disc", "percentile_cont"), ("quantile", "percentile_cont"),
    ("quarter", "extract(QUARTER FROM …)"), ("regexp_extract", "regexp_match"), ("regexp_matches", "regexp_like"),
    ("sign", "signum"), ("str_split", "string_to_array"), ("strftime", "to_char"),
    ("string_split", "string_to_array"), ("strlen", "octet_length"), ("strptime", "to_timestamp"),
    ("to_number", "CAST(… AS DECIMAL)"), ("try_cast_to_type", "TRY_CAST(… AS type)"), ("ucase", "upper"),
    ("week", "extract(WEEK FROM …)"), ("year", "extract(YEAR FROM …)"),
];

/// How far a name may be from the one that is meant: one letter in three.
const LETTERS_PER_MISTAKE: usize = 3;

/// Whether there is a function of this name.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

/// What may have been meant by a name that there is no function of, as a sentence to append.
pub(super) fn hint(name: &str) -> String {
    if let Some((_, instead)) = INSTEAD.iter().find(|(known, _)| *known == name) {
        return format!(" Use {instead} instead.");
    }
    let near = NAMES.iter().map(|known| (distance(name, known), *known)).min();
    match near {
        Some((distance, known)) if distance <= name.len().max(known.len()) / LETTERS_PER_MISTAKE => {
            format!(" Did you mean {known}?")
        }
        _ => String::new(),
    }
}

/// Letters to change, add or drop to come from one name to the other; names of strangers count as far when they are
/// long.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > a.len().min(b.len()) {
        return usize::MAX;
    }
    let mut above = (0..=b.len()).collect::<Vec<_>>();
    for (row, letter) in a.iter().enumerate() {
        let mut left = row + 1;
        let mut next = vec![left];
        for ((other, diagonal), over) in b.iter().zip(&above).zip(above.iter().skip(1)) {
            left = (diagonal + usize::from(letter != other)).min(over + 1).min(left + 1);
            next.push(left);
        }
        above = next;
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(NAMES.is_sorted());
        assert!(INSTEAD.is_sorted());
        assert!(INSTEAD.iter().all(|(name, _)| !is_known(name)));
    }

    #[test]
    fn the_list_is_the_workers() {
        let record = include_str!("../../../../engine/functions.toml");
        let rows = record.lines().filter_map(|line| line.split_once(" = { ")).map(|(name, _)| name);
        let mut reviewed = rows.collect::<BTreeSet<_>>();
        reviewed.insert("unnest");
        assert_eq!(NAMES.iter().copied().collect::<BTreeSet<_>>(), reviewed);
    }

    #[test]
    fn near_names_and_those_of_other_systems_are_offered() {
        assert_eq!(hint("lenght"), " Did you mean length?");
        assert_eq!(hint("strftime"), " Use to_char instead.");
        assert_eq!(hint("zzzzzzzzzzzz"), "");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance(&"x".repeat(60_000), "sum"), usize::MAX);
    }
}
