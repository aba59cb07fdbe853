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
    "r0"."paid_at" AS "until0",
    CASE
      WHEN ABS(CAST("r0"."amount" AS DOUBLE PRECISION)) < 1e-100
      THEN CAST(0 AS DOUBLE PRECISION)
      WHEN ABS(CAST("r0"."amount" AS DOUBLE PRECISION)) <= 1e100
      THEN CAST("r0"."amount" AS DOUBLE PRECISION)
    END AS "v0",
    CAST("r0"."status" AS TEXT) AS "v1"
  FROM "orders" AS "r0"
  INNER JOIN "asked"
    ON "r0"."customer_id" = "asked"."key" AND "r0"."ordered_at" <= "asked"."until"
), "numbered" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY "key" ORDER BY pg_temp.rfm_key("t") ASC, pg_temp.rfm_key("pk0") ASC) AS "seq"
  FROM "raw"
), "cells" AS (
  SELECT
    "key",
    1 AS "n",
    "seq" AS "newest",
    "t",
    "t" AS "first",
    "until0",
    "v0" AS "s0",
    CASE WHEN NOT "v0" IS NULL THEN 1 END AS "c0"
  FROM "numbered"
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
      "t",
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
    AND (
      "until0" IS NULL OR "until0" > "b"."hi"
    )
), "spans" AS (
  SELECT
    "key",
    "anchor_time",
    "as_of"
  FROM "points"
), "stats" AS (
  SELECT
    "s"."key",
    "s"."anchor_time",
    "s"."as_of",
    SUM("c"."n") AS "n_0",
    SUM("c"."s0") AS "s0_0",
    SUM("c"."c0") AS "c0_0",
    MAX("c"."newest") AS "newest_0",
    MAX("c"."t") AS "t_0",
    MIN("c"."first") AS "first_0"
  FROM "spans" AS "s"
  INNER JOIN "cells" AS "c"
    ON "c"."key" = "s"."key"
    AND "c"."t" <= "s"."as_of"
    AND (
      "c"."until0" IS NULL OR "c"."until0" > "s"."as_of"
    )
  GROUP BY
    "s"."key",
    "s"."anchor_time",
    "s"."as_of"
)
SELECT
  "k"."example_id" AS "example_id",
  CAST(COALESCE("s"."n_0", 0) AS DOUBLE PRECISION) AS "f0",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("s"."t_0", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f1",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("s"."first_0", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f2",
  CAST("s"."n_0" AS DOUBLE PRECISION) / (
    CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."anchor_time", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("s"."first_0", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 + 1.0
  ) AS "f3",
  CAST("s"."s0_0" AS DOUBLE PRECISION) / "s"."c0_0" AS "f4",
  "s"."s0_0" AS "f5",
  "n0"."v0" AS "f6",
  "n0"."v1" AS "f7"
FROM "keyed" AS "k"
LEFT JOIN "stats" AS "s"
  ON "k"."key" = "s"."key"
  AND "k"."anchor_time" = "s"."anchor_time"
  AND "k"."as_of" = "s"."as_of"
LEFT JOIN "numbered" AS "n0"
  ON "n0"."key" = "k"."key"
  AND "n0"."seq" = "s"."newest_0"
  AND "n0"."t" <= "k"."as_of"
  AND (
    "n0"."until0" IS NULL OR "n0"."until0" > "k"."as_of"
  )
ORDER BY
  pg_temp.rfm_key("k"."example_id")
