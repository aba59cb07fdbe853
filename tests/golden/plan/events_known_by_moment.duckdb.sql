WITH "keyed" AS (
  SELECT
    "o"."example_id",
    "o"."k0" AS "g0",
    "o"."as_of" AS "until",
    CASE
      WHEN (
        "o"."anchor_time" - INTERVAL '1' DAY
      ) IS NULL OR "o"."as_of" IS NULL
      THEN NULL
      ELSE LEAST("o"."anchor_time" - INTERVAL '1' DAY, "o"."as_of")
    END AS "b0",
    CASE
      WHEN (
        "o"."anchor_time" - INTERVAL '7' DAY
      ) IS NULL OR "o"."as_of" IS NULL
      THEN NULL
      ELSE LEAST("o"."anchor_time" - INTERVAL '7' DAY, "o"."as_of")
    END AS "b1",
    CASE
      WHEN (
        "o"."anchor_time" - INTERVAL '30' DAY
      ) IS NULL OR "o"."as_of" IS NULL
      THEN NULL
      ELSE LEAST("o"."anchor_time" - INTERVAL '30' DAY, "o"."as_of")
    END AS "b2"
  FROM "rfm_own_x" AS "o"
), "moments" AS (
  SELECT DISTINCT
    "g0",
    "t",
    "place"
  FROM (
    SELECT
      "g0",
      "until" AS "t",
      0 AS "place"
    FROM "keyed"
    WHERE
      NOT "g0" IS NULL
    UNION ALL
    SELECT
      "g0",
      "b0" AS "t",
      2 AS "place"
    FROM "keyed"
    WHERE
      NOT "g0" IS NULL
    UNION ALL
    SELECT
      "g0",
      "b1" AS "t",
      2 AS "place"
    FROM "keyed"
    WHERE
      NOT "g0" IS NULL
    UNION ALL
    SELECT
      "g0",
      "b2" AS "t",
      2 AS "place"
    FROM "keyed"
    WHERE
      NOT "g0" IS NULL
  ) AS "m"
), "asked" AS (
  SELECT
    "g0",
    MAX("until") AS "latest"
  FROM "keyed"
  GROUP BY
    "g0"
), "stream" AS (
  SELECT
    "r0"."customer_id" AS "g0",
    CASE
      WHEN "r0"."paid_at" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN CASE
        WHEN "r0"."ordered_at" IS NULL OR (
          "r0"."paid_at" + INTERVAL '2' DAY
        ) IS NULL
        THEN NULL
        ELSE GREATEST("r0"."ordered_at", "r0"."paid_at" + INTERVAL '2' DAY)
      END
    END AS "t",
    1 AS "place",
    "r0"."order_id" AS "p0",
    CASE
      WHEN ABS(CAST("r0"."amount" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("r0"."amount" AS DOUBLE)) <= 1e100
      THEN CAST("r0"."amount" AS DOUBLE)
    END AS "v0"
  FROM "orders" AS "r0"
  INNER JOIN "asked" AS "a"
    ON "r0"."customer_id" = "a"."g0"
    AND CASE
      WHEN "r0"."paid_at" BETWEEN CAST('1800-01-01 00:00:00' AS TIMESTAMP) AND CAST('3000-01-01 00:00:00' AS TIMESTAMP)
      THEN CASE
        WHEN "r0"."ordered_at" IS NULL OR (
          "r0"."paid_at" + INTERVAL '2' DAY
        ) IS NULL
        THEN NULL
        ELSE GREATEST("r0"."ordered_at", "r0"."paid_at" + INTERVAL '2' DAY)
      END
    END <= "a"."latest"
  WHERE
    NOT CASE
      WHEN ABS(CAST("r0"."amount" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("r0"."amount" AS DOUBLE)) <= 1e100
      THEN CAST("r0"."amount" AS DOUBLE)
    END IS NULL
  UNION ALL
  SELECT
    "g0",
    "t",
    "place",
    NULL AS "p0",
    NULL AS "v0"
  FROM "moments"
), "placed" AS (
  SELECT
    "s".*,
    "s"."places" - "s"."moments" AS "seq",
    CASE WHEN "s"."place" <> 1 THEN "s"."moments" - 1 ELSE "s"."moments" END AS "piece"
  FROM (
    SELECT
      "s".*,
      ROW_NUMBER() OVER (PARTITION BY "s"."g0" ORDER BY "s"."t", "s"."place", "s"."p0") AS "places",
      COUNT(CASE WHEN "s"."place" <> 1 THEN 1 END) OVER (
        PARTITION BY "s"."g0"
        ORDER BY "s"."t", "s"."place", "s"."p0"
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
      ) AS "moments"
    FROM "stream" AS "s"
  ) AS "s"
), "pieces" AS (
  SELECT
    "s"."g0",
    "s"."piece",
    MAX(CASE WHEN "s"."place" <> 1 THEN "s"."t" END) AS "t",
    MAX(CASE WHEN "s"."place" <> 1 THEN "s"."place" END) AS "place",
    MAX("s"."seq") AS "n",
    MAX(CASE WHEN "s"."place" = 1 THEN "s"."t" END) AS "happened",
    SUM("s"."v0") AS "s0",
    COUNT("s"."v0") AS "c0",
    SUM("s"."v0" * "s"."v0") AS "q0",
    MAX("s"."v0") AS "hi0"
  FROM "placed" AS "s"
  GROUP BY
    "s"."g0",
    "s"."piece"
), "running" AS (
  SELECT
    "p"."g0",
    "p"."t",
    "p"."place",
    "p"."n",
    MAX("p"."happened") OVER (
      PARTITION BY "p"."g0"
      ORDER BY "p"."piece"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "happened",
    MAX("p"."hi0") OVER (
      PARTITION BY "p"."g0"
      ORDER BY "p"."piece"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "hi0",
    SUM("p"."s0") OVER (
      PARTITION BY "p"."g0"
      ORDER BY "p"."piece"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s0",
    SUM("p"."c0") OVER (
      PARTITION BY "p"."g0"
      ORDER BY "p"."piece"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "c0",
    SUM("p"."q0") OVER (
      PARTITION BY "p"."g0"
      ORDER BY "p"."piece"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "q0"
  FROM "pieces" AS "p"
)
SELECT
  "k"."example_id" AS "example_id",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b0"."n", 0)
  ) AS DOUBLE) AS "f0",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b1"."n", 0)
  ) AS DOUBLE) AS "f1",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b2"."n", 0)
  ) AS DOUBLE) AS "f2",
  CAST(COALESCE("e"."n", 0) AS DOUBLE) AS "f3",
  CAST(DATE_DIFF('SECOND', "e"."happened", "k"."until") AS DOUBLE) / 86400.0 AS "f4",
  (
    COALESCE("e"."s0", 0) - COALESCE("b0"."s0", 0)
  ) / NULLIF(CAST((
    COALESCE("e"."c0", 0) - COALESCE("b0"."c0", 0)
  ) AS DOUBLE), 0) AS "f5",
  (
    COALESCE("e"."s0", 0) - COALESCE("b0"."s0", 0)
  ) AS "f6",
  (
    COALESCE("e"."s0", 0) - COALESCE("b1"."s0", 0)
  ) / NULLIF(CAST((
    COALESCE("e"."c0", 0) - COALESCE("b1"."c0", 0)
  ) AS DOUBLE), 0) AS "f7",
  (
    COALESCE("e"."s0", 0) - COALESCE("b1"."s0", 0)
  ) AS "f8",
  (
    COALESCE("e"."s0", 0) - COALESCE("b2"."s0", 0)
  ) / NULLIF(CAST((
    COALESCE("e"."c0", 0) - COALESCE("b2"."c0", 0)
  ) AS DOUBLE), 0) AS "f9",
  (
    COALESCE("e"."s0", 0) - COALESCE("b2"."s0", 0)
  ) AS "f10",
  COALESCE("e"."s0", 0) / NULLIF(CAST(COALESCE("e"."c0", 0) AS DOUBLE), 0) AS "f11",
  COALESCE("e"."s0", 0) AS "f12",
  "l"."v0" AS "f13"
FROM "keyed" AS "k"
LEFT JOIN "running" AS "e"
  ON "e"."g0" = "k"."g0" AND "e"."t" = "k"."until" AND "e"."place" = 0
LEFT JOIN "running" AS "b0"
  ON "b0"."g0" = "k"."g0" AND "b0"."t" = "k"."b0" AND "b0"."place" = 2
LEFT JOIN "running" AS "b1"
  ON "b1"."g0" = "k"."g0" AND "b1"."t" = "k"."b1" AND "b1"."place" = 2
LEFT JOIN "running" AS "b2"
  ON "b2"."g0" = "k"."g0" AND "b2"."t" = "k"."b2" AND "b2"."place" = 2
LEFT JOIN "placed" AS "l"
  ON "l"."g0" = "k"."g0" AND "l"."seq" = "e"."n" AND "l"."place" = 1
ORDER BY
  "k"."example_id"
