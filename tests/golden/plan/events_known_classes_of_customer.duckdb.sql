WITH "keyed" AS (
  SELECT
    "o"."example_id",
    "o"."k0" AS "g0",
    "o"."as_of" - INTERVAL '36' HOUR AS "until",
    CASE
      WHEN (
        "o"."anchor_time" - INTERVAL '1' DAY
      ) IS NULL OR "o"."as_of" IS NULL
      THEN NULL
      ELSE LEAST("o"."anchor_time" - INTERVAL '1' DAY, "o"."as_of")
    END - INTERVAL '36' HOUR AS "b0",
    CASE
      WHEN (
        "o"."anchor_time" - INTERVAL '7' DAY
      ) IS NULL OR "o"."as_of" IS NULL
      THEN NULL
      ELSE LEAST("o"."anchor_time" - INTERVAL '7' DAY, "o"."as_of")
    END - INTERVAL '36' HOUR AS "b1",
    CASE
      WHEN (
        "o"."anchor_time" - INTERVAL '30' DAY
      ) IS NULL OR "o"."as_of" IS NULL
      THEN NULL
      ELSE LEAST("o"."anchor_time" - INTERVAL '30' DAY, "o"."as_of")
    END - INTERVAL '36' HOUR AS "b2"
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
      2 AS "place"
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
), "numbered" AS (
  SELECT
    "r0"."customer_id" AS "g0",
    "r0"."ordered_at" AS "t",
    ROW_NUMBER() OVER (
      PARTITION BY "r0"."customer_id"
      ORDER BY "r0"."ordered_at" ASC, "r0"."order_id" ASC
    ) AS "seq",
    CAST("r0"."status" AS TEXT) AS "v0",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'paid' THEN 1 END AS "v1",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'it''s lost' THEN 1 END AS "v2"
  FROM "orders" AS "r0"
  WHERE
    "r0"."customer_id" IN (
      SELECT
        "g0"
      FROM "keyed"
    )
    AND "r0"."ordered_at" <= (
      SELECT
        MAX("until")
      FROM "keyed"
    )
    AND NOT CAST("r0"."status" AS TEXT) IS NULL
), "stream" AS (
  SELECT
    "g0",
    "t",
    1 AS "place",
    "seq",
    "t" AS "happened",
    "v1",
    "v2"
  FROM "numbered"
  UNION ALL
  SELECT
    "g0",
    "t",
    "place",
    CAST(NULL AS BIGINT) AS "seq",
    CAST(NULL AS TIMESTAMP) AS "happened",
    CAST(NULL AS INT) AS "v1",
    CAST(NULL AS INT) AS "v2"
  FROM "moments"
), "running" AS (
  SELECT
    "g0",
    "t",
    "place",
    MAX("seq") OVER (
      PARTITION BY "g0"
      ORDER BY "t", "place", "seq"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "n",
    MAX("happened") OVER (
      PARTITION BY "g0"
      ORDER BY "t", "place", "seq"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "happened",
    SUM("v1") OVER (
      PARTITION BY "g0"
      ORDER BY "t", "place", "seq"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s1",
    SUM("v2") OVER (
      PARTITION BY "g0"
      ORDER BY "t", "place", "seq"
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s2"
  FROM "stream"
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
    COALESCE("e"."s1", 0) - COALESCE("b2"."s1", 0)
  ) / NULLIF(CAST((
    COALESCE("e"."n", 0) - COALESCE("b2"."n", 0)
  ) AS DOUBLE), 0) AS "f5",
  COALESCE("e"."s1", 0) / NULLIF(CAST(COALESCE("e"."n", 0) AS DOUBLE), 0) AS "f6",
  (
    COALESCE("e"."s2", 0) - COALESCE("b2"."s2", 0)
  ) / NULLIF(CAST((
    COALESCE("e"."n", 0) - COALESCE("b2"."n", 0)
  ) AS DOUBLE), 0) AS "f7",
  COALESCE("e"."s2", 0) / NULLIF(CAST(COALESCE("e"."n", 0) AS DOUBLE), 0) AS "f8",
  "l"."v0" AS "f9"
FROM "keyed" AS "k"
LEFT JOIN "running" AS "e"
  ON "e"."g0" = "k"."g0" AND "e"."t" = "k"."until" AND "e"."place" = 2
LEFT JOIN "running" AS "b0"
  ON "b0"."g0" = "k"."g0" AND "b0"."t" = "k"."b0" AND "b0"."place" = 2
LEFT JOIN "running" AS "b1"
  ON "b1"."g0" = "k"."g0" AND "b1"."t" = "k"."b1" AND "b1"."place" = 2
LEFT JOIN "running" AS "b2"
  ON "b2"."g0" = "k"."g0" AND "b2"."t" = "k"."b2" AND "b2"."place" = 2
LEFT JOIN "numbered" AS "l"
  ON "l"."g0" = "k"."g0" AND "l"."seq" = "e"."n"
ORDER BY
  "k"."example_id"
