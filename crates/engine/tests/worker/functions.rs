//! Every function that is on offer, through a worker: the statements of `functions.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::city::City;

#[derive(Deserialize)]
struct Row {
    test: String,
    answer: String,
    over: Option<String>,
    problem: Option<String>,
}

fn rows() -> BTreeMap<String, BTreeMap<String, Row>> {
    toml::from_str(include_str!("../../functions.toml")).unwrap()
}

#[tokio::test]
async fn every_function_gives_the_answer_that_was_reviewed() {
    let city = City::new();
    let (mut wrong, mut asked) = (Vec::new(), 0);
    for (kind, names) in rows() {
        for (name, row) in names {
            asked += 1;
            let given = match city.ask(&city.order(&row.test)).await {
                Ok(collected) => {
                    let csv = String::from_utf8(collected.bytes).unwrap();
                    csv.split_once('\n').map(|(_, rows)| rows.trim_end_matches('\n').to_owned()).unwrap_or_default()
                }
                Err(problem) => problem.to_string(),
            };
            if given != row.answer {
                wrong.push(format!("{kind} {name}: {} gives {given:?}", row.test));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{asked} functions, each with the answer that was reviewed");
}

#[tokio::test]
async fn every_call_beyond_a_bound_is_refused_with_the_functions_name() {
    let (city, mut refused) = (City::new(), 0);
    for (kind, names) in rows() {
        for (name, row) in names {
            let (Some(over), Some(expected)) = (&row.over, &row.problem) else { continue };
            let problem = city.refused(over).await;
            assert_eq!(problem.kind.code(), expected, "{kind} {name}: {over}: {problem}");
            refused += 1;
        }
    }
    println!("{refused} calls beyond a bound, all refused");
}
