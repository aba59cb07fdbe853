WITH "keyed" AS (
  SELECT
    "example_id",
    "entity" AS "key",
    "anchor_time",
    "as_of"
  FROM "rfm_examples_x"
), "points" AS (
  SELECT DISTINCT
    "key",
    "anchor_time",
    "as_of"
  FROM "keyed"
  WHERE
    NOT "key" IS NULL
), "asked" AS (
  SELECT
    "key",
    MAX("as_of") AS "until"
  FROM "points"
  GROUP BY
    "key"
), "raw" AS (
  SELECT
    "r0"."customer_id" AS "key",
    "r0"."order_id" AS "pk0",
    "r0"."ordered_at" AS "t",
    CASE
      WHEN ABS(CAST("r0"."amount" AS DOUBLE PRECISION)) < 1e-100
      THEN CAST(0 AS DOUBLE PRECISION)
      WHEN ABS(CAST("r0"."amount" AS DOUBLE PRECISION)) <= 1e100
      THEN CAST("r0"."amount" AS DOUBLE PRECISION)
    END AS "v0",
    CAST("r0"."status" AS TEXT) AS "v1",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'a' THEN 1 END AS "v2",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'b' THEN 1 END AS "v3",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'o''c' THEN 1 END AS "v4",
    CASE
      WHEN ABS(CAST("p0"."area" AS DOUBLE PRECISION)) < 1e-100
      THEN CAST(0 AS DOUBLE PRECISION)
      WHEN ABS(CAST("p0"."area" AS DOUBLE PRECISION)) <= 1e100
      THEN CAST("p0"."area" AS DOUBLE PRECISION)
    END AS "v5",
    CAST("p0"."kind" AS TEXT) AS "v6",
    CASE WHEN CAST("p0"."kind" AS TEXT) = 'a' THEN 1 END AS "v7",
    CASE WHEN CAST("p0"."kind" AS TEXT) = 'b' THEN 1 END AS "v8",
    CASE WHEN CAST("p0"."kind" AS TEXT) = 'o''c' THEN 1 END AS "v9"
  FROM "orders" AS "r0"
  LEFT JOIN "regions" AS "p0"
    ON "p0"."region_id" = "r0"."region_id"
  INNER JOIN "asked"
    ON "r0"."customer_id" = "asked"."key" AND "r0"."ordered_at" <= "asked"."until"
), "numbered" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY "key" ORDER BY pg_temp.rfm_key("t") ASC, pg_temp.rfm_key("pk0") ASC) AS "seq",
    CASE
      WHEN NOT "v1" IS NULL
      THEN ROW_NUMBER() OVER (
        PARTITION BY "key", "v1"
        ORDER BY pg_temp.rfm_key("t") ASC, pg_temp.rfm_key("pk0") ASC
      )
    END AS "r1"
  FROM "raw"
), "cells" AS (
  SELECT
    "r"."key",
    COUNT(*) AS "n",
    MAX("r"."seq") AS "newest",
    MAX("r"."t") AS "t",
    MIN("r"."t") AS "first",
    SUM("r"."v0") AS "s0",
    NULLIF(COUNT("r"."v0"), 0) AS "c0",
    SUM("r"."v0" * "r"."v0") AS "q0",
    MIN("r"."v0") AS "lo0",
    MAX("r"."v0") AS "hi0",
    SUM("r"."v5") AS "s5",
    NULLIF(COUNT("r"."v5"), 0) AS "c5",
    SUM("r"."v2") AS "s2",
    SUM("r"."v3") AS "s3",
    SUM("r"."v4") AS "s4",
    SUM("r"."v7") AS "s7",
    SUM("r"."v8") AS "s8",
    SUM("r"."v9") AS "s9",
    SUM(CASE WHEN "r1" = 1 THEN 1 END) AS "d1",
    MAX(CAST("r1" AS BIGINT) * 2147483648 + "seq") AS "m1"
  FROM "numbered" AS "r"
  INNER JOIN (
    SELECT
      "b".*,
      PG_TEMP.RFM_PLACES(
        WIDTH_BUCKET(
          "b"."lo" + INTERVAL '1 MICROSECOND',
          ARRAY(SELECT DISTINCT
            "moment" + INTERVAL '1 MICROSECOND'
          FROM (
            SELECT
              "b"."lo" AS "moment"
            FROM "rfm_bounds_x" AS "b"
            UNION ALL
            SELECT
              "b"."hi" AS "moment"
            FROM "rfm_bounds_x" AS "b"
          ) AS "ends"
          WHERE
            NOT "moment" IS NULL
          ORDER BY
            1)
        ),
        WIDTH_BUCKET(
          "b"."hi" + INTERVAL '1 MICROSECOND',
          ARRAY(SELECT DISTINCT
            "moment" + INTERVAL '1 MICROSECOND'
          FROM (
            SELECT
              "b"."lo" AS "moment"
            FROM "rfm_bounds_x" AS "b"
            UNION ALL
            SELECT
              "b"."hi" AS "moment"
            FROM "rfm_bounds_x" AS "b"
          ) AS "ends"
          WHERE
            NOT "moment" IS NULL
          ORDER BY
            1)
        ) - 1
      ) AS "place"
    FROM "rfm_bounds_x" AS "b"
  ) AS "b"
    ON "b"."place" = WIDTH_BUCKET(
      "r"."t",
      ARRAY(SELECT DISTINCT
        "moment" + INTERVAL '1 MICROSECOND'
      FROM (
        SELECT
          "b"."lo" AS "moment"
        FROM "rfm_bounds_x" AS "b"
        UNION ALL
        SELECT
          "b"."hi" AS "moment"
        FROM "rfm_bounds_x" AS "b"
      ) AS "ends"
      WHERE
        NOT "moment" IS NULL
      ORDER BY
        1)
    )
  GROUP BY
    "r"."key",
    "b"."hi"
), "spans" AS (
  SELECT
    "key",
    "anchor_time",
    "as_of",
    "anchor_time" - INTERVAL '30 DAY' AS "since0",
    "anchor_time" - INTERVAL '90 DAY' AS "since1",
    "anchor_time" - INTERVAL '365 DAY' AS "since2"
  FROM "points"
), "stats" AS (
  SELECT
    "s"."key",
    "s"."anchor_time",
    "s"."as_of",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."n" END) AS "n_0",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."n" END) AS "n_1",
    SUM(CASE WHEN "c"."t" > "s"."since2" THEN "c"."n" END) AS "n_2",
    SUM("c"."n") AS "n_3",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s0" END) AS "s0_0",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."s0" END) AS "s0_1",
    SUM(CASE WHEN "c"."t" > "s"."since2" THEN "c"."s0" END) AS "s0_2",
    SUM("c"."s0") AS "s0_3",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."c0" END) AS "c0_0",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."c0" END) AS "c0_1",
    SUM(CASE WHEN "c"."t" > "s"."since2" THEN "c"."c0" END) AS "c0_2",
    SUM("c"."c0") AS "c0_3",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."q0" END) AS "q0_0",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."q0" END) AS "q0_1",
    SUM("c"."q0") AS "q0_3",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."s5" END) AS "s5_1",
    SUM("c"."s5") AS "s5_3",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."c5" END) AS "c5_1",
    SUM("c"."c5") AS "c5_3",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s2" END) AS "s2_0",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."s2" END) AS "s2_1",
    SUM(CASE WHEN "c"."t" > "s"."since2" THEN "c"."s2" END) AS "s2_2",
    SUM("c"."s2") AS "s2_3",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s3" END) AS "s3_0",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."s3" END) AS "s3_1",
    SUM(CASE WHEN "c"."t" > "s"."since2" THEN "c"."s3" END) AS "s3_2",
    SUM("c"."s3") AS "s3_3",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s4" END) AS "s4_0",
    SUM(CASE WHEN "c"."t" > "s"."since1" THEN "c"."s4" END) AS "s4_1",
    SUM(CASE WHEN "c"."t" > "s"."since2" THEN "c"."s4" END) AS "s4_2",
    SUM("c"."s4") AS "s4_3",
    SUM("c"."s7") AS "s7_3",
    SUM("c"."s8") AS "s8_3",
    SUM("c"."s9") AS "s9_3",
    SUM("c"."d1") AS "d1_3",
    MAX("c"."newest") AS "newest_3",
    MAX(CASE WHEN "c"."t" > "s"."since1" THEN "c"."hi0" END) AS "hi0_1",
    MAX("c"."hi0") AS "hi0_3",
    MAX("c"."m1") AS "m1_3",
    MAX("c"."t") AS "t_3",
    MIN(CASE WHEN "c"."t" > "s"."since1" THEN "c"."lo0" END) AS "lo0_1",
    MIN("c"."lo0") AS "lo0_3",
    MIN("c"."first") AS "first_3"
  FROM "spans" AS "s"
  INNER JOIN "cells" AS "c"
    ON "c"."key" = "s"."key" AND "c"."t" <= "s"."as_of"
  GROUP BY
    "s"."key",
    "s"."anchor_time",
    "s"."as_of"
), "spreads" AS (
  SELECT
    *,
    CAST((
      "q0_0" - CAST((
        "s0_0" * "s0_0"
      ) AS DOUBLE PRECISION) / "c0_0"
    ) AS DOUBLE PRECISION) / NULLIF((
      "c0_0" - 1
    ), 0) AS "var0_0",
    CAST((
      "q0_1" - CAST((
        "s0_1" * "s0_1"
      ) AS DOUBLE PRECISION) / "c0_1"
    ) AS DOUBLE PRECISION) / NULLIF((
      "c0_1" - 1
    ), 0) AS "var0_1",
    CAST((
      "q0_3" - CAST((
        "s0_3" * "s0_3"
      ) AS DOUBLE PRECISION) / "c0_3"
    ) AS DOUBLE PRECISION) / NULLIF((
      "c0_3" - 1
    ), 0) AS "var0_3",
    SQRT(
      CASE
        WHEN (
          CAST((
            "q0_3" - CAST((
              "s0_3" * "s0_3"
            ) AS DOUBLE PRECISION) / "c0_3"
          ) AS DOUBLE PRECISION) / NULLIF((
            "c0_3" - 1
          ), 0)
        ) * "c0_3" > 1e-12 * "q0_3"
        THEN CAST((
          "q0_3" - CAST((
            "s0_3" * "s0_3"
          ) AS DOUBLE PRECISION) / "c0_3"
        ) AS DOUBLE PRECISION) / NULLIF((
          "c0_3" - 1
        ), 0)
      END
    ) AS "unit0"
  FROM "stats"
), "recent" AS (
  SELECT
    "r".*
  FROM "numbered" AS "r"
  WHERE
    EXISTS(
      SELECT
        1
      FROM "spreads" AS "s"
      WHERE
        "s"."key" = "r"."key"
        AND "r"."seq" <= "s"."newest_3"
        AND "r"."seq" > "s"."newest_3" - 3
    )
)
SELECT
  "k"."example_id" AS "example_id",
  CAST(COALESCE("s"."n_0", 0) AS DOUBLE PRECISION) AS "f0",
  CAST(COALESCE("s"."n_1", 0) AS DOUBLE PRECISION) AS "f1",
  CAST(COALESCE("s"."n_2", 0) AS DOUBLE PRECISION) AS "f2",
  CAST(COALESCE("s"."n_3", 0) AS DOUBLE PRECISION) AS "f3",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("s"."t_3", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f4",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("s"."first_3", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f5",
  CAST("s"."n_3" AS DOUBLE PRECISION) / (
    CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("s"."first_3", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 + 1.0
  ) AS "f6",
  CAST(COALESCE("s"."s2_0", 0) AS DOUBLE PRECISION) AS "f7",
  CAST(COALESCE("s"."s2_1", 0) AS DOUBLE PRECISION) AS "f8",
  CAST(COALESCE("s"."s2_2", 0) AS DOUBLE PRECISION) AS "f9",
  CAST(COALESCE("s"."s2_3", 0) AS DOUBLE PRECISION) AS "f10",
  CAST(COALESCE("s"."s3_0", 0) AS DOUBLE PRECISION) AS "f11",
  CAST(COALESCE("s"."s3_1", 0) AS DOUBLE PRECISION) AS "f12",
  CAST(COALESCE("s"."s3_2", 0) AS DOUBLE PRECISION) AS "f13",
  CAST(COALESCE("s"."s3_3", 0) AS DOUBLE PRECISION) AS "f14",
  CAST(COALESCE("s"."s4_0", 0) AS DOUBLE PRECISION) AS "f15",
  CAST(COALESCE("s"."s4_1", 0) AS DOUBLE PRECISION) AS "f16",
  CAST(COALESCE("s"."s4_2", 0) AS DOUBLE PRECISION) AS "f17",
  CAST(COALESCE("s"."s4_3", 0) AS DOUBLE PRECISION) AS "f18",
  CAST(COALESCE("s"."s7_3", 0) AS DOUBLE PRECISION) AS "f19",
  CAST(COALESCE("s"."s8_3", 0) AS DOUBLE PRECISION) AS "f20",
  CAST(COALESCE("s"."s9_3", 0) AS DOUBLE PRECISION) AS "f21",
  CAST("s"."s0_0" AS DOUBLE PRECISION) / "s"."c0_0" AS "f22",
  "s"."s0_0" AS "f23",
  CAST("s"."s0_1" AS DOUBLE PRECISION) / "s"."c0_1" AS "f24",
  "s"."s0_1" AS "f25",
  "s"."lo0_1" AS "f26",
  "s"."hi0_1" AS "f27",
  SQRT(CASE WHEN "s"."var0_1" < 0 THEN 0.0 ELSE "s"."var0_1" END) AS "f28",
  CAST("s"."s0_2" AS DOUBLE PRECISION) / "s"."c0_2" AS "f29",
  "s"."s0_2" AS "f30",
  CAST("s"."s0_3" AS DOUBLE PRECISION) / "s"."c0_3" AS "f31",
  "s"."s0_3" AS "f32",
  "s"."lo0_3" AS "f33",
  "s"."hi0_3" AS "f34",
  SQRT(CASE WHEN "s"."var0_3" < 0 THEN 0.0 ELSE "s"."var0_3" END) AS "f35",
  CAST("s"."s5_1" AS DOUBLE PRECISION) / "s"."c5_1" AS "f36",
  CAST("s"."s5_3" AS DOUBLE PRECISION) / "s"."c5_3" AS "f37",
  CAST((
    (
      CAST("s"."s0_0" AS DOUBLE PRECISION) / "s"."c0_0"
    ) - (
      CAST("s"."s0_3" AS DOUBLE PRECISION) / "s"."c0_3"
    )
  ) AS DOUBLE PRECISION) / "s"."unit0" AS "f38",
  CAST((
    (
      CAST("s"."s0_1" AS DOUBLE PRECISION) / "s"."c0_1"
    ) - (
      CAST("s"."s0_3" AS DOUBLE PRECISION) / "s"."c0_3"
    )
  ) AS DOUBLE PRECISION) / "s"."unit0" AS "f39",
  CAST((
    "n0"."v0" - (
      CAST("s"."s0_3" AS DOUBLE PRECISION) / "s"."c0_3"
    )
  ) AS DOUBLE PRECISION) / "s"."unit0" AS "f40",
  CAST(SQRT(CASE WHEN "s"."var0_0" < 0 THEN 0.0 ELSE "s"."var0_0" END) AS DOUBLE PRECISION) / "s"."unit0" AS "f41",
  "n0"."v0" AS "f42",
  "n0"."v1" AS "f43",
  "n0"."v5" AS "f44",
  "n0"."v6" AS "f45",
  "n1"."v0" AS "f46",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("n0"."t", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("n1"."t", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f47",
  "n2"."v0" AS "f48",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("n1"."t", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("n2"."t", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f49",
  CAST("s"."d1_3" AS DOUBLE PRECISION) AS "f50",
  "m1"."v1" AS "f51"
FROM "keyed" AS "k"
LEFT JOIN "spreads" AS "s"
  ON "k"."key" = "s"."key"
  AND "k"."anchor_time" = "s"."anchor_time"
  AND "k"."as_of" = "s"."as_of"
LEFT JOIN "recent" AS "n0"
  ON "n0"."key" = "k"."key" AND "n0"."seq" = "s"."newest_3" AND "n0"."t" <= "k"."as_of"
LEFT JOIN "recent" AS "n1"
  ON "n1"."key" = "k"."key"
  AND "n1"."seq" = "s"."newest_3" - 1
  AND "n1"."t" <= "k"."as_of"
LEFT JOIN "recent" AS "n2"
  ON "n2"."key" = "k"."key"
  AND "n2"."seq" = "s"."newest_3" - 2
  AND "n2"."t" <= "k"."as_of"
LEFT JOIN "numbered" AS "m1"
  ON "m1"."key" = "k"."key" AND "m1"."seq" = "s"."m1_3" % 2147483648
ORDER BY
  pg_temp.rfm_key("k"."example_id")
