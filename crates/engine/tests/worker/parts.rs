//! Parts of lengths of time and of moments, and decimals of the widest type.

use crate::alike::check;

#[tokio::test]
async fn lengths_of_time_have_days_hours_minutes_and_seconds() {
    macro_rules! length {
        ($asked:literal, $from:literal, $to:literal) => {
            concat!(
                $asked,
                " FROM (SELECT CAST(e AS TIMESTAMP(6)) - CAST(b AS TIMESTAMP(6)) AS d FROM (VALUES ('",
                $from,
                "', '",
                $to,
                "')) v(b, e)) t"
            )
        };
    }
    check(&[
        (
            length!(
                "date_part('day', d), date_part('hour', d), extract(minute FROM d), extract(second FROM d)",
                "2024-01-01T00:00:00",
                "2024-02-01T05:07:10.5"
            ),
            "31,5,7,10",
        ),
        (length!("date_part('millisecond', d)", "2024-01-01T00:00:00", "2024-02-01T00:00:10.25"), "10250"),
        (length!("extract(epoch FROM d)", "2024-01-01T00:00:00", "2024-01-01T00:00:10.5"), "10.5"),
        (length!("extract(epoch FROM d)", "1900-01-01T00:00:00", "2024-01-01T00:00:00"), "3913056000.0"),
        (
            length!("date_part('hour', d), date_part('minute', d)", "2024-01-01T01:30:00", "2024-01-01T00:00:00"),
            "-1,-30",
        ),
        ("date_part('hour', CAST('1 hour' AS INTERVAL)), extract(year FROM DATE '2024-05-06')", "1,2024"),
    ])
    .await;
}

#[tokio::test]
async fn a_year_that_nanoseconds_do_not_reach_is_compared() {
    check(&[
        (
            "count(*) FROM \"permits@3\" WHERE extract(year FROM to_timestamp(CAST(issued AS TIMESTAMP(6)))) <> 9999",
            "1000",
        ),
        (
            "count(*) FROM \"permits@3\" WHERE extract(year FROM to_timestamp(CAST(issued AS TIMESTAMP(6)))) > 1500",
            "1000",
        ),
        ("count(*) FROM \"permits@3\" WHERE extract(year FROM CAST(issued AS TIMESTAMP(6))) <> 9999", "1000"),
    ])
    .await;
}

#[tokio::test]
async fn decimals_keep_all_their_digits_or_are_refused() {
    check(&[
        ("CAST(CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) + 1 AS VARCHAR)", "Numeric overflow"),
        ("CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) - -1", "Numeric overflow"),
        ("CAST('10000000000000000000000000000000000000' AS DECIMAL(38, 0)) * 10", "Numeric overflow"),
        (
            "CAST('99999999999999999999999999999999999998' AS DECIMAL(38, 0)) + 1",
            "99999999999999999999999999999999999999",
        ),
        ("sum(CAST(id AS DECIMAL(38, 0)) * 3 + 1 - id) FROM \"permits@3\"", "1000000"),
    ])
    .await;
}
