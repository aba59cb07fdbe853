WITH "keyed" AS (
  SELECT
    "o"."example_id",
    "o"."k0" AS "g0",
    "o"."as_of" AS "until",
    CASE WHEN "o"."anchor_time" - INTERVAL '1 DAY' IS NULL OR "o"."as_of" IS NULL THEN NULL ELSE LEAST("o"."anchor_time" - INTERVAL '1 DAY', "o"."as_of") END AS "b0",
    CASE WHEN "o"."anchor_time" - INTERVAL '7 DAY' IS NULL OR "o"."as_of" IS NULL THEN NULL ELSE LEAST("o"."anchor_time" - INTERVAL '7 DAY', "o"."as_of") END AS "b1",
    CASE WHEN "o"."anchor_time" - INTERVAL '30 DAY' IS NULL OR "o"."as_of" IS NULL THEN NULL ELSE LEAST("o"."anchor_time" - INTERVAL '30 DAY', "o"."as_of") END AS "b2"
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
    "r0"."ordered_at" AS "t",
    1 AS "place",
    "r0"."order_id" AS "p0",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'a' THEN 1 END AS "v0",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'b' THEN 1 END AS "v1",
    CASE WHEN CAST("r0"."status" AS TEXT) = 'o''c' THEN 1 END AS "v2",
    "r0"."region_id" AS "v3",
    "r0"."status" AS "v4"
  FROM "orders" AS "r0"
  INNER JOIN "asked" AS "a"
    ON "r0"."customer_id" = "a"."g0" AND "r0"."ordered_at" <= "a"."latest"
  UNION ALL
  SELECT
    "g0",
    "t",
    "place",
    NULL AS "p0",
    NULL AS "v0",
    NULL AS "v1",
    NULL AS "v2",
    NULL AS "v3",
    NULL AS "v4"
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
    MAX(CASE WHEN "s"."place" = 1 THEN "s"."t" END) AS "happened",
    SUM("s"."v0") AS "s0",
    SUM("s"."v1") AS "s1",
    SUM("s"."v2") AS "s2"
  FROM "placed" AS "s"
  GROUP BY
    "s"."g0",
    "s"."piece"
), "firsts3" AS (
  SELECT
    "f"."g0",
    "f"."piece",
    COUNT(*) AS "s3"
  FROM (
    SELECT
      "s"."g0",
      MIN("s"."piece") AS "piece"
    FROM "placed" AS "s"
    WHERE
      NOT "s"."v3" IS NULL
    GROUP BY
      "s"."g0",
      "s"."v3"
  ) AS "f"
  GROUP BY
    "f"."g0",
    "f"."piece"
), "firsts4" AS (
  SELECT
    "f"."g0",
    "f"."piece",
    COUNT(*) AS "s4"
  FROM (
    SELECT
      "s"."g0",
      MIN("s"."piece") AS "piece"
    FROM "placed" AS "s"
    WHERE
      NOT "s"."v4" IS NULL
    GROUP BY
      "s"."g0",
      "s"."v4"
  ) AS "f"
  GROUP BY
    "f"."g0",
    "f"."piece"
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
    ) AS "happened",
    SUM("p"."s0") OVER (
      PARTITION BY "p"."g0"
      ORDER BY pg_temp.rfm_key("p"."piece")
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s0",
    SUM("p"."s1") OVER (
      PARTITION BY "p"."g0"
      ORDER BY pg_temp.rfm_key("p"."piece")
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s1",
    SUM("p"."s2") OVER (
      PARTITION BY "p"."g0"
      ORDER BY pg_temp.rfm_key("p"."piece")
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s2",
    SUM("f3"."s3") OVER (
      PARTITION BY "p"."g0"
      ORDER BY pg_temp.rfm_key("p"."piece")
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s3",
    SUM("f4"."s4") OVER (
      PARTITION BY "p"."g0"
      ORDER BY pg_temp.rfm_key("p"."piece")
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS "s4"
  FROM "pieces" AS "p"
  LEFT JOIN "firsts3" AS "f3"
    ON "f3"."g0" = "p"."g0" AND "f3"."piece" = "p"."piece"
  LEFT JOIN "firsts4" AS "f4"
    ON "f4"."g0" = "p"."g0" AND "f4"."piece" = "p"."piece"
)
SELECT
  "k"."example_id" AS "example_id",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b0"."n", 0)
  ) AS DOUBLE PRECISION) AS "f0",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b1"."n", 0)
  ) AS DOUBLE PRECISION) AS "f1",
  CAST((
    COALESCE("e"."n", 0) - COALESCE("b2"."n", 0)
  ) AS DOUBLE PRECISION) AS "f2",
  CAST(COALESCE("e"."n", 0) AS DOUBLE PRECISION) AS "f3",
  CAST(CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', NULLIF(NULLIF("k"."until", 'infinity'), '-infinity')) - DATE_TRUNC('second', NULLIF(NULLIF("e"."happened", 'infinity'), '-infinity'))) AS BIGINT) AS DOUBLE PRECISION) / 86400.0 AS "f4",
  CAST((
    COALESCE("e"."s0", 0) - COALESCE("b0"."s0", 0)
  ) AS DOUBLE PRECISION) AS "f5",
  CAST((
    COALESCE("e"."s0", 0) - COALESCE("b1"."s0", 0)
  ) AS DOUBLE PRECISION) AS "f6",
  CAST(COALESCE("e"."s0", 0) AS DOUBLE PRECISION) AS "f7",
  CAST((
    COALESCE("e"."s1", 0) - COALESCE("b0"."s1", 0)
  ) AS DOUBLE PRECISION) AS "f8",
  CAST((
    COALESCE("e"."s1", 0) - COALESCE("b1"."s1", 0)
  ) AS DOUBLE PRECISION) AS "f9",
  CAST(COALESCE("e"."s1", 0) AS DOUBLE PRECISION) AS "f10",
  CAST((
    COALESCE("e"."s2", 0) - COALESCE("b0"."s2", 0)
  ) AS DOUBLE PRECISION) AS "f11",
  CAST((
    COALESCE("e"."s2", 0) - COALESCE("b1"."s2", 0)
  ) AS DOUBLE PRECISION) AS "f12",
  CAST(COALESCE("e"."s2", 0) AS DOUBLE PRECISION) AS "f13",
  CAST((
    COALESCE("e"."s3", 0) - COALESCE("b0"."s3", 0)
  ) AS DOUBLE PRECISION) AS "f14",
  CAST((
    COALESCE("e"."s3", 0) - COALESCE("b1"."s3", 0)
  ) AS DOUBLE PRECISION) AS "f15",
  CAST(COALESCE("e"."s3", 0) AS DOUBLE PRECISION) AS "f16",
  CAST((
    COALESCE("e"."s4", 0) - COALESCE("b0"."s4", 0)
  ) AS DOUBLE PRECISION) AS "f17",
  CAST((
    COALESCE("e"."s4", 0) - COALESCE("b1"."s4", 0)
  ) AS DOUBLE PRECISION) AS "f18",
  CAST(COALESCE("e"."s4", 0) AS DOUBLE PRECISION) AS "f19"
FROM "keyed" AS "k"
LEFT JOIN "running" AS "e"
  ON "e"."g0" = "k"."g0" AND "e"."t" = "k"."until" AND "e"."place" = 0
LEFT JOIN "running" AS "b0"
  ON "b0"."g0" = "k"."g0" AND "b0"."t" = "k"."b0" AND "b0"."place" = 2
LEFT JOIN "running" AS "b1"
  ON "b1"."g0" = "k"."g0" AND "b1"."t" = "k"."b1" AND "b1"."place" = 2
LEFT JOIN "running" AS "b2"
  ON "b2"."g0" = "k"."g0" AND "b2"."t" = "k"."b2" AND "b2"."place" = 2
ORDER BY
  pg_temp.rfm_key("k"."example_id")
