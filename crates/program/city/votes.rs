//! Election results by precinct, and the adopted budget.

use std::io;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::{Out, pick};

const CONTESTS: &[(&str, &[(&str, &str)])] = &[
    ("Mayor", &[("Rosalind Achterberg", ""), ("Tobias Nwachukwu", ""), ("Write-in", "")]),
    ("City Council Ward 1", &[("Imogen Castellanos", ""), ("Percival Osei", "")]),
    ("City Council Ward 2", &[("Leopold Marchetti", ""), ("Saoirse Tanaka", ""), ("Write-in", "")]),
    ("City Council Ward 3", &[("Ottoline Brandvold", ""), ("Cyprian Adeyemi", "")]),
    ("Parks Bond", &[("Yes", ""), ("No", "")]),
    (
        "Governor",
        &[("Calliope Ravensworth", "Meadow"), ("Evander Lindqvist", "Harbor"), ("Zenobia Faulkner", "Prairie")],
    ),
];
const METHODS: &[&str] = &["Election day", "Early voting", "By mail", "Provisional"];

/// Writes votes by election, precinct, contest, choice and method.
pub(super) fn write_election(random: &mut ChaCha8Rng, out: Out<'_>) -> io::Result<()> {
    writeln!(out, "election_date,precinct,contest,choice,party,method,votes")?;
    for election in ["2023-11-07", "2024-11-05", "2025-11-04"] {
        for precinct in 1..=57 {
            let size: u32 = random.random_range(200..1_800);
            for (contest, choices) in CONTESTS {
                for (choice, party) in *choices {
                    for (share, method) in (1_u32..).zip(METHODS) {
                        let votes = size * random.random_range(10..50) / 100 / share.pow(2);
                        writeln!(out, "{election},{precinct:02},{contest},{choice},{party},{method},{votes}")?;
                    }
                }
            }
        }
    }
    Ok(())
}

const FUNDS: &[&str] = &["General", "Water and Sewer", "Solid Waste", "Transit", "Stormwater"];
const LINES: &[&str] = &["Salaries", "Benefits", "Supplies", "Contracts", "Utilities", "Capital", "Debt service"];
const OFFICES: &[&str] = &[
    "Public Works",
    "Parks and Recreation",
    "Police",
    "Fire",
    "Water Management",
    "Transportation",
    "Library",
    "City Manager",
    "Finance",
    "Neighborhood Services",
];

/// Writes the budget with semicolons, as spreadsheets in many places save it.
pub(super) fn write_budget(random: &mut ChaCha8Rng, out: Out<'_>) -> io::Result<()> {
    writeln!(out, "fiscal_year;fund;department;line;adopted;amended;spent")?;
    for year in 2022..=2026 {
        for fund in FUNDS {
            for office in OFFICES {
                for line in LINES {
                    let adopted: i64 = random.random_range(2_000..900_000) * random.random_range(1..9);
                    let amended = adopted + random.random_range(-9_000..20_000);
                    let spent = amended * random.random_range(60..104) / 100;
                    let spent = if year == 2026 {
                        String::new()
                    } else {
                        format!("{spent}.{:02}", random.random_range(0..100))
                    };
                    let amended = if pick(random, &["same", "moved"]) == "same" { adopted } else { amended };
                    writeln!(out, "{year};{fund};{office};{line};{adopted}.00;{amended}.00;{spent}")?;
                }
            }
        }
    }
    Ok(())
}
