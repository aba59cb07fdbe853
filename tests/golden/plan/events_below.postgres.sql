WITH "keyed" AS (
  SELECT
    "o"."example_id",
    "o"."k0" AS "g0",
    "o"."as_of" AS "until",
    CASE WHEN "o"."anchor_time" - INTERVAL '30 DAY' IS NULL OR "o"."as_of" IS NULL THEN NULL ELSE LEAST("o"."anchor_time" - INTERVAL '30 DAY', "o"."as_of") END AS "b0"
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
), "asked" AS (
  SELECT
    "g0",
    MAX("until") AS "latest"
  FROM "keyed"
  GROUP BY
    "g0"
), "stream" AS (
  SELECT
    "r1"."region_id" AS "g0",
    CASE WHEN "r0"."ordered_at" IS NULL OR "r1"."created_at" IS NULL THEN NULL ELSE GREATEST("r0"."ordered_at", "r1"."created_at") END AS "t",
    1 AS "place",
    "r0"."order_id" AS "p0"
  FROM "orders" AS "r0"
  INNER JOIN "customers" AS "r1"
    ON "r1"."customer_id" = "r0"."customer_id"
  INNER JOIN "asked" AS "a"
    ON "r1"."region_id" = "a"."g0"
    AND CASE WHEN "r0"."ordered_at" IS NULL OR "r1"."created_at" IS NULL THEN NULL ELSE GREATEST("r0"."ordered_at", "r1"."created_at") END <= "a"."latest"
  UNION ALL
  SELECT
    "g0",
    "t",
    "place",
    NULL AS "p0"
  FROM "moments"
), "placed" AS (
  SELECT
    "s".*,
    "s"."places" - "s"."moments" AS "seq",
    CASE WHEN "s"."place" <> 1 THEN "s"."moments" - 1 ELSE "s"."moments" END AS "piece"
  FROM (
    SELECT
      "s".*,
      ROW_NUMBER() OVER (
        PARTITION BY "s"."g0"
        ORDER BY pg_temp.rfm_key("s"."t"), pg_temp.rfm_key("s"."place"), pg_temp.rfm_key("s"."p0")
      ) AS "places",
      COUNT(CASE WHEN "s"."place" <> 1 THEN 1 END) OVER (
        PARTITION BY "s"."g0"
        ORDER BY pg_temp.rfm_key("s"."t"), pg_temp.rfm_key("s"."place"), pg_temp.rfm_key("s"."p0")
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
    MAX(CASE WHEN "s"."place" = 1 THEN "s"."t" END) AS "happened"
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
      ORDER BY pg_temp.rfm_key("p"."piece")
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "happened"
  FROM "pieces" AS "p"
)
SELECT
  "k"."example_id" AS "example_id",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b0"."n", 0)
  ) AS DOUBLE PRECISION) AS "f0",
  CAST(COALESCE("e"."n", 0) AS DOUBLE PRECISION) AS "f1",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."until", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("e"."happened", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f2"
FROM "keyed" AS "k"
LEFT JOIN "running" AS "e"
  ON "e"."g0" = "k"."g0" AND "e"."t" = "k"."until" AND "e"."place" = 0
LEFT JOIN "running" AS "b0"
  ON "b0"."g0" = "k"."g0" AND "b0"."t" = "k"."b0" AND "b0"."place" = 2
ORDER BY
  pg_temp.rfm_key("k"."example_id")
