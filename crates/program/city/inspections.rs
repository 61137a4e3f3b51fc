//! Restaurant inspections with their violations, one row a violation.

use std::io;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::{DISTRICTS, Out, date, pick, pick_skewed};

const FIRST: &[&str] = &["Blue", "Copper", "Golden", "Little", "Old", "Red", "Silver", "Sunny", "Twin", "Velvet"];
const SECOND: &[&str] = &["Acorn", "Fork", "Heron", "Kettle", "Lantern", "Oven", "Pepper", "Spoon", "Table", "Wok"];
const KINDS: &[&str] = &["Café", "Diner", "Grill", "Bakery", "Taquería", "Noodle House", "Food Truck", "Pizzeria"];
const VIOLATIONS: &[(&str, &str, u32)] = &[
    ("2-301", "Hands clean and properly washed", 4),
    ("3-501", "Food held at the proper temperature", 3),
    ("4-601", "Surfaces clean to sight and touch", 2),
    ("6-501", "Premises free of pests", 2),
    ("7-102", "Chemicals labeled and stored apart", 2),
    ("3-302", "Raw food kept apart from cooked", 3),
    ("5-205", "Sinks reachable and supplied", 1),
    ("6-303", "Lighting bright enough", 1),
];

/// Writes inspections of 900 places over nearly four years. The department's export carries the inspector's
/// social security number, as exports sometimes do: screening stops it, and the dictionary drops it.
pub(super) fn write(random: &mut ChaCha8Rng, out: Out<'_>) -> io::Result<()> {
    writeln!(
        out,
        "inspection_id,establishment_id,establishment,kind,district,inspected_on,inspector_ssn,score,grade,violation_code,\
         violation,points,corrected"
    )?;
    let mut inspection = 0_u32;
    for place in 0..900_u32 {
        let name = format!("{} {}", pick(random, FIRST), pick(random, SECOND));
        let (kind, district) = (pick_skewed(random, KINDS), pick(random, DISTRICTS));
        let mut day = random.random_range(0..300);
        while day < 1_390 {
            inspection += 1;
            let found = random.random_range(0..5_usize).min(random.random_range(0..7_usize));
            let first = random.random_range(0..VIOLATIONS.len());
            let violations: Vec<_> =
                (0..found).filter_map(|i| VIOLATIONS.get((first + i * 3) % VIOLATIONS.len())).collect();
            let score = 100 - violations.iter().map(|(_, _, points)| points).sum::<u32>();
            let grade = match score {
                90.. => "A",
                80.. => "B",
                _ => "C",
            };
            let inspector = random.random_range(0..24_u32);
            let head = format!(
                "I{inspection:06},{:05},{name} {kind},{kind},{district},{},{}-{:02}-{:04},{score},{grade}",
                10_000 + place,
                date(day),
                310 + inspector * 7,
                11 + inspector,
                2_000 + inspector * 37,
            );
            if violations.is_empty() {
                writeln!(out, "{head},,,,")?;
            }
            for (code, text, points) in violations {
                writeln!(out, "{head},{code},{text},{points},{}", random.random_bool(0.7))?;
            }
            day += random.random_range(110..260);
        }
    }
    Ok(())
}
