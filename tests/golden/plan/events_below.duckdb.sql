WITH "keyed" AS (
  SELECT
    "o"."example_id",
    "o"."k0" AS "g0",
    "o"."as_of" AS "until",
    CASE
      WHEN (
        "o"."anchor_time" - INTERVAL '30' DAY
      ) IS NULL OR "o"."as_of" IS NULL
      THEN NULL
      ELSE LEAST("o"."anchor_time" - INTERVAL '30' DAY, "o"."as_of")
    END AS "b0"
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
  ) AS "m"
), "numbered" AS (
  SELECT
    "r1"."region_id" AS "g0",
    CASE
      WHEN "r0"."ordered_at" IS NULL OR "r1"."created_at" IS NULL
      THEN NULL
      ELSE GREATEST("r0"."ordered_at", "r1"."created_at")
    END AS "t",
    ROW_NUMBER() OVER (
      PARTITION BY "r1"."region_id"
      ORDER BY CASE
        WHEN "r0"."ordered_at" IS NULL OR "r1"."created_at" IS NULL
        THEN NULL
        ELSE GREATEST("r0"."ordered_at", "r1"."created_at")
      END ASC, "r0"."order_id" ASC
    ) AS "seq"
  FROM "orders" AS "r0"
  INNER JOIN "customers" AS "r1"
    ON "r1"."customer_id" = "r0"."customer_id"
  WHERE
    "r1"."region_id" IN (
      SELECT
        "g0"
      FROM "keyed"
    )
    AND CASE
      WHEN "r0"."ordered_at" IS NULL OR "r1"."created_at" IS NULL
      THEN NULL
      ELSE GREATEST("r0"."ordered_at", "r1"."created_at")
    END <= (
      SELECT
        MAX("until")
      FROM "keyed"
    )
), "stream" AS (
  SELECT
    "g0",
    "t",
    1 AS "place",
    "seq",
    "t" AS "happened"
  FROM "numbered"
  UNION ALL
  SELECT
    "g0",
    "t",
    "place",
    CAST(NULL AS BIGINT) AS "seq",
    CAST(NULL AS TIMESTAMP) AS "happened"
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
    ) AS "happened"
  FROM "stream"
)
SELECT
  "k"."example_id" AS "example_id",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b0"."n", 0)
  ) AS DOUBLE) AS "f0",
  CAST(COALESCE("e"."n", 0) AS DOUBLE) AS "f1",
  CAST(DATE_DIFF('SECOND', "e"."happened", "k"."until") AS DOUBLE) / 86400.0 AS "f2"
FROM "keyed" AS "k"
LEFT JOIN "running" AS "e"
  ON "e"."g0" = "k"."g0" AND "e"."t" = "k"."until" AND "e"."place" = 0
LEFT JOIN "running" AS "b0"
  ON "b0"."g0" = "k"."g0" AND "b0"."t" = "k"."b0" AND "b0"."place" = 2
ORDER BY
  "k"."example_id"
