//! Bus stops, parks and air quality: things with a place.

use std::io;

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{DISTRICTS, Out, STREETS, date, pick, place};

/// Writes bus stops with tabs; their numbers begin with zeros.
pub(super) fn write_stops(random: &mut ChaCha8Rng, out: Out<'_>) -> io::Result<()> {
    writeln!(
        out,
        "stop_id\tstop_name\tdistrict\tlatitude\tlongitude\tshelter\tbench\troutes\tfirst_bus\tdaily_boardings"
    )?;
    for stop in 1..=860 {
        let (latitude, longitude) = place(random);
        writeln!(
            out,
            "{:05}\t{} at {}\t{}\t{latitude:.5}\t{longitude:.5}\t{}\t{}\t{}\t{:02}:{:02}\t{}",
            stop * 3,
            pick(random, STREETS),
            pick(random, STREETS),
            pick(random, DISTRICTS),
            random.random_bool(0.3),
            random.random_bool(0.6),
            pick(random, &["1", "2", "5", "7", "1;7", "2;5;9", "11", "11;12"]),
            random.random_range(4..8),
            random.random_range(0..12) * 5,
            random.random_range(0..900_u32).min(random.random_range(0..2_500)),
        )?;
    }
    Ok(())
}

/// Writes parks as GeoJSON polygons.
pub(super) fn write_parks(random: &mut ChaCha8Rng, out: Out<'_>) -> io::Result<()> {
    let features: Vec<_> = (1..=64)
        .map(|number| {
            let (latitude, longitude) = place(random);
            let ring = ring(random, latitude, longitude);
            json!({
                "type": "Feature",
                "properties": {
                    "park_id": format!("P{number:03}"),
                    "name": format!("{} {}", pick(random, STREETS), pick(random, &["Park", "Green", "Playground", "Gardens"])),
                    "district": pick(random, DISTRICTS),
                    "acres": f64::from(random.random_range(3..900)) / 10.0,
                    "opened": random.random_range(1890..2024),
                    "playground": random.random_bool(0.5),
                    "restrooms": random.random_bool(0.4),
                },
                "geometry": { "type": "Polygon", "coordinates": [ring] },
            })
        })
        .collect();
    let collection = json!({ "type": "FeatureCollection", "name": "parks", "features": features });
    serde_json::to_writer_pretty(out, &collection).map_err(io::Error::other)
}

fn ring(random: &mut ChaCha8Rng, latitude: f64, longitude: f64) -> Vec<[f64; 2]> {
    let corners = random.random_range(5..11);
    let mut ring: Vec<[f64; 2]> = (0..corners)
        .map(|corner| {
            let angle = std::f64::consts::TAU * f64::from(corner) / f64::from(corners);
            let radius = random.random_range(0.0008..0.0030);
            let round = |value: f64| (value * 1_000_000.0).round() / 1_000_000.0;
            [round(longitude + radius * angle.cos()), round(latitude + radius * angle.sin())]
        })
        .collect();
    ring.extend(ring.first().copied());
    ring
}

/// Writes four stations' readings of the last months, every six hours, as one JSON object a line.
pub(super) fn write_air(random: &mut ChaCha8Rng, out: Out<'_>) -> io::Result<()> {
    let stations = ["Foundry Yard", "Harbor Point", "Mill Hill School", "Airport Road"];
    for day in 1_000..1_400_i64 {
        for hour in [0, 6, 12, 18] {
            for (number, station) in (1..).zip(stations) {
                let base = 8.0 + 6.0 * ((f64::from(hour) / 24.0) * std::f64::consts::TAU).sin().abs();
                let reading = |random: &mut ChaCha8Rng, scale: f64| {
                    (random.random_range(0.4..1.9) * base * scale * 10.0).round() / 10.0
                };
                let ozone = random.random_bool(0.97).then(|| reading(random, 2.5));
                let line = json!({
                    "station": { "number": number, "name": station },
                    "measured_at": format!("{}T{hour:02}:00:00Z", date(day)),
                    "pm25": reading(random, 1.0),
                    "pm10": reading(random, 1.8),
                    "ozone_ppb": ozone,
                });
                writeln!(out, "{line}")?;
            }
        }
    }
    Ok(())
}
