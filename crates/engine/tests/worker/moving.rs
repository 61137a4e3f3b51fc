//! Floats over frames that move: what leaves a frame leaves nothing behind.

use crate::alike::check;
use crate::city::City;

#[tokio::test]
async fn what_leaves_a_frame_leaves_nothing_behind() {
    let city = City::new();
    let sql = "SELECT k, sum(v) OVER w AS s, avg(v) OVER w AS a, var_pop(v) OVER w AS p
               FROM (VALUES (1, 1e17), (2, 1.0), (3, 1.0), (4, 2.0), (5, CAST('inf' AS DOUBLE)), (6, 1.0), (7, 3.0)) t(k, v)
               WINDOW w AS (ORDER BY k ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)";
    let lines = city.lines(sql).await;
    assert_eq!(lines[1], "2,1e+17,5e+16,2.5e+33");
    assert_eq!(lines[2..4], ["3,2.0,1.0,0.0", "4,3.0,1.5,0.25"]);
    assert_eq!(lines[6], "7,4.0,2.0,1.0");
}

#[tokio::test]
async fn long_frames_are_added_up() {
    check(&[
        // Frames of 601 rows, and of rows that come and go many at once.
        (
            "sum(s), min(s), max(s) FROM (SELECT sum(score) OVER (ORDER BY id ROWS BETWEEN 600 PRECEDING AND CURRENT ROW) AS s \
             FROM \"permits@3\")",
            "78039850.0,0.0,210049.5",
        ),
        (
            "count(*) FROM (SELECT sum(d) OVER (ORDER BY b.v ROWS BETWEEN 2500 PRECEDING AND CURRENT ROW) AS s, \
             sum(b.v) OVER (ORDER BY b.v ROWS BETWEEN 2500 PRECEDING AND CURRENT ROW) AS exact \
             FROM (SELECT CAST(v AS DOUBLE) AS d, v FROM (SELECT unnest(range(0, 9000)) AS v) a) b) c WHERE s <> exact",
            "0",
        ),
        (
            "count(*) FROM (SELECT sum(d) OVER (ORDER BY v RANGE BETWEEN 7 PRECEDING AND 3 PRECEDING) AS s, \
             sum(v) OVER (ORDER BY v RANGE BETWEEN 7 PRECEDING AND 3 PRECEDING) AS exact \
             FROM (SELECT CAST(v AS DOUBLE) AS d, v FROM (SELECT unnest(range(0, 3000)) / 3 AS v) a) b) c WHERE s IS DISTINCT FROM exact",
            "0",
        ),
        (
            "round(max(c), 3), round(max(d), 6), round(max(r), 3) FROM (SELECT corr(score, id) OVER w AS c, \
             stddev(score) OVER w AS d, regr_slope(score, id) OVER w AS r FROM \"permits@3\" \
             WINDOW w AS (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW))",
            "1.0,0.5,0.5",
        ),
    ])
    .await;
}
