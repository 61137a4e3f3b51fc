//! Made-up values and columns whose kind is known, from a seed, with those that only resemble them.
//!
//! Nothing here belongs to anybody: numbers are random within their formats, and names are put together at random.

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use kinds::{COLUMNS, HARD, KINDS, PLAIN};

#[path = "kinds.rs"]
mod kinds;

/// A text and what is in it.
pub(crate) struct Labelled {
    pub(crate) text: String,
    /// The rules that shall find something.
    pub(crate) labels: Vec<&'static str>,
}

/// A column of a table and what it is.
pub(crate) struct LabelledColumn {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<String>,
    /// Whether a column of people's names stands beside it.
    pub(crate) beside_people: bool,
    /// The rule that shall tell it, if any.
    pub(crate) label: Option<&'static str>,
}

/// Makes values; the same seed makes the same.
pub(crate) struct Maker {
    random: ChaCha8Rng,
}

/// First names, common and rare ones.
const FIRST: &[&str] = &[
    "James",
    "Mary",
    "Robert",
    "Patricia",
    "John",
    "Jennifer",
    "Michael",
    "Linda",
    "DeShawn",
    "Elizabeth",
    "William",
    "Barbara",
    "Keisha",
    "Susan",
    "Thomas",
    "Jessica",
    "Luis",
    "Sarah",
    "Daniel",
    "Karen",
    "Matthew",
    "Lisa",
    "Nguyet",
    "Betty",
    "Mark",
    "Sandra",
    "Carlos",
    "Ashley",
    "Zbigniew",
    "Kimberly",
    "Paul",
    "Emily",
    "Andrew",
    "Donna",
    "Joshua",
    "Michelle",
    "Ravi",
    "Carol",
    "Kevin",
    "Amanda",
    "Brian",
    "Melissa",
    "George",
    "Deborah",
    "Siobhan",
    "Rebecca",
    "Timothy",
    "Sharon",
    "Ebony",
    "Cynthia",
];
/// Surnames, likewise.
const LAST: &[&str] = &[
    "Smith",
    "Johnson",
    "Williams",
    "Brown",
    "Jones",
    "Garcia",
    "Miller",
    "Davis",
    "Abernathy",
    "Martinez",
    "Hernandez",
    "Lopez",
    "Yarborough",
    "Wilson",
    "Anderson",
    "Thomas",
    "Taylor",
    "Moore",
    "Szymanski",
    "Martin",
    "Lee",
    "Perez",
    "Okonkwo",
    "White",
    "Harris",
    "Sanchez",
    "Blalock",
    "Ramirez",
    "Lewis",
    "Robinson",
    "Umstead",
    "Young",
    "Allen",
    "King",
    "Featherstone",
    "Scott",
    "Torres",
    "Nguyen",
    "Mangum",
    "Flores",
    "Green",
    "Adams",
    "Chaudhary",
    "Baker",
    "Hall",
    "Rivera",
    "Pettiford",
    "Carter",
];
const STREETS: &[&str] = &[
    "Main St",
    "N Roxboro Rd",
    "Fayetteville Street",
    "Chapel Hill Blvd",
    "Oak Ridge Dr",
    "Ninth St",
    "W Club Blvd",
    "Holloway Street",
    "Cornwallis Rd",
    "Martin Luther King Jr Pkwy",
    "Guess Rd",
    "E Geer St",
];
const SUBJECTS: &[&str] = &[
    "pothole",
    "missed collection",
    "street light out",
    "graffiti",
    "barking dog",
    "water leak",
    "illegal dumping",
    "tree down",
];

impl Maker {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.random).copied().unwrap_or_default()
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.random_range(0..end)
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| self.random.random_range('0'..='9')).collect()
    }

    fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| self.random.random_range('A'..='Z')).collect()
    }

    /// `#` is a digit, `@` a letter.
    fn form(&mut self, form: &str) -> String {
        let one = |character| match character {
            '#' => self.digits(1),
            '@' => self.letters(1),
            other => other.to_string(),
        };
        form.chars().map(one).collect()
    }

    fn ssn(&mut self) -> String {
        let area = [self.random.random_range(1..666), self.random.random_range(667..900)];
        let area = area.choose(&mut self.random).copied().unwrap_or(1);
        format!("{area:03}-{:02}-{:04}", self.random.random_range(1..100), self.random.random_range(1..10_000))
    }

    fn itin(&mut self) -> String {
        format!("9{:02}-{:02}-{:04}", self.below(100), self.random.random_range(70..89), self.below(10_000))
    }

    fn card(&mut self) -> String {
        let (prefix, length) = [
            ("4", 16),
            ("51", 16),
            ("55", 16),
            ("2221", 16),
            ("34", 15),
            ("37", 15),
            ("6011", 16),
            ("36", 14),
            ("3530", 16),
        ]
        .choose(&mut self.random)
        .copied()
        .unwrap_or(("4", 16));
        let mut number = format!("{prefix}{}", self.digits(length - prefix.len() - 1));
        number.push(luhn_digit(&number));
        if self.below(3) == 0 && number.len() == 16 {
            let separator = self.pick(&[" ", "-"]);
            let groups: Vec<&str> =
                [0..4, 4..8, 8..12, 12..16].into_iter().filter_map(|part| number.get(part)).collect();
            return groups.join(separator);
        }
        number
    }

    fn routing(&mut self) -> String {
        let start =
            self.pick(&["01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "26", "31", "32"]);
        let number = format!("{start}{}", self.digits(6));
        let weights = [3, 7, 1, 3, 7, 1, 3, 7];
        let sum: u32 =
            number.chars().zip(weights).map(|(digit, weight)| digit.to_digit(10).unwrap_or(0) * weight).sum();
        format!("{number}{}", (10 - sum % 10) % 10)
    }

    fn iban(&mut self) -> String {
        let (country, bank) = match self.below(3) {
            0 => ("DE", self.digits(18)),
            1 => ("GB", format!("{}{}", self.letters(4), self.digits(14))),
            _ => ("FR", self.digits(23)),
        };
        let checked = format!("{bank}{country}00");
        let remainder = checked.chars().fold(0_u32, |rest, character| {
            let value = character.to_digit(36).unwrap_or(0);
            (if value > 9 { rest * 100 + value } else { rest * 10 + value }) % 97
        });
        format!("{country}{:02}{bank}", 98 - remainder)
    }

    fn license(&mut self) -> String {
        let form = self.pick(&[
            "########",
            "#######",
            "@#######",
            "@########",
            "@############",
            "#########",
            "@###-####-####",
            "@@######",
        ]);
        self.form(form)
    }

    fn plate(&mut self) -> String {
        let form = self.pick(&["@@@-####", "@@@ ####", "@@@####", "###-@@@", "@@#####"]);
        self.form(form)
    }

    fn first(&mut self) -> &'static str {
        self.pick(FIRST)
    }

    fn last(&mut self) -> &'static str {
        self.pick(LAST)
    }

    fn name(&mut self) -> String {
        format!("{} {}", self.first(), self.last())
    }

    fn date(&mut self, from: u64, to: u64) -> String {
        let (year, month, day) = (self.random.random_range(from..to), self.below(12) + 1, self.below(28) + 1);
        match self.below(3) {
            0 => format!("{month:02}/{day:02}/{year}"),
            1 => format!("{year}-{month:02}-{day:02}"),
            _ => format!("{month}/{day}/{year}"),
        }
    }

    fn address(&mut self) -> String {
        format!("{} {}", self.below(9_000) + 100, self.pick(STREETS))
    }

    fn phone(&mut self) -> String {
        let (area, exchange, line) =
            (self.pick(&["919", "984", "336", "704"]), self.below(700) + 200, self.below(10_000));
        match self.below(4) {
            0 => format!("({area}) {exchange}-{line:04}"),
            1 => format!("{area}.{exchange}.{line:04}"),
            2 => format!("+1 {area}-{exchange}-{line:04}"),
            _ => format!("{area}-{exchange}-{line:04}"),
        }
    }

    fn ip(&mut self) -> String {
        format!("{}.{}.{}.{}", self.random.random_range(11..100), self.below(256), self.below(256), self.below(256))
    }

    fn medicare(&mut self) -> String {
        let letter = |maker: &mut Self| {
            maker.pick(&["A", "C", "D", "E", "F", "G", "H", "J", "K", "M", "N", "P", "Q", "R", "T"]).to_owned()
        };
        let (a, b, c, d, e) = (letter(self), letter(self), letter(self), letter(self), letter(self));
        format!(
            "{}{a}{b}{}-{c}{}{}-{d}{e}{}",
            self.below(9) + 1,
            self.digits(1),
            self.digits(1),
            self.digits(1),
            self.digits(2)
        )
    }

    fn email(&mut self) -> String {
        format!(
            "{}.{}{}@{}",
            self.first().to_lowercase(),
            self.last().to_lowercase(),
            self.below(90),
            self.pick(&["example.org", "mail.example.com", "city.example.gov"])
        )
    }

    fn password(&mut self) -> String {
        let word = self.pick(&["Bulls", "tobacco", "Sunshine", "letmein", "qwerty", "Summer"]);
        format!("{word}{}{}", self.digits(2), self.pick(&["", "!", "#", "$x"]))
    }
}

fn luhn_digit(number: &str) -> char {
    let sum: u32 = number
        .chars()
        .rev()
        .enumerate()
        .map(|(place, character)| {
            let digit = character.to_digit(10).unwrap_or(0);
            let doubled = if place % 2 == 0 { digit * 2 } else { digit };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    char::from_digit((10 - sum % 10) % 10, 10).unwrap_or('0')
}

impl Maker {
    /// `each` sentences for each kind, and as many of each that only resembles one.
    pub(crate) fn texts(&mut self, each: usize) -> Vec<Labelled> {
        let mut made = Vec::new();
        for (labels, value, sentences) in KINDS {
            for _ in 0..each {
                let value = value(self);
                made.push(Labelled { text: self.pick(sentences).replace("{}", &value), labels: labels.to_vec() });
            }
        }
        for (form, sentences) in HARD {
            for _ in 0..each {
                let value = self.form(form);
                made.push(Labelled { text: self.pick(sentences).replace("{}", &value), labels: Vec::new() });
            }
        }
        for _ in 0..each * 4 {
            let subject = self.pick(SUBJECTS);
            made.push(Labelled { text: self.pick(PLAIN).replace("{}", subject), labels: Vec::new() });
        }
        made
    }

    /// `each` columns of each kind, with `rows` values.
    pub(crate) fn columns(&mut self, each: usize, rows: usize) -> Vec<LabelledColumn> {
        let mut made = Vec::new();
        for (label, names, beside_people, value) in COLUMNS {
            for _ in 0..each {
                let values = (0..rows).map(|row| value(self, row)).collect();
                let name = names.choose(&mut self.random).copied().unwrap_or_default();
                made.push(LabelledColumn { name, values, beside_people: *beside_people, label: *label });
            }
        }
        made
    }

    /// Names of people, for the column beside.
    pub(crate) fn people(&mut self, rows: usize) -> Vec<String> {
        (0..rows).map(|_| self.name()).collect()
    }
}
