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
    "r1"."customer_id" AS "key",
    "r0"."item_id" AS "pk0",
    "r1"."ordered_at" AS "t",
    CAST("r0"."quantity" AS DOUBLE) AS "v0",
    CASE
      WHEN ABS(CAST("p0"."price" AS DOUBLE)) < 1e-100
      THEN CAST(0 AS DOUBLE)
      WHEN ABS(CAST("p0"."price" AS DOUBLE)) <= 1e100
      THEN CAST("p0"."price" AS DOUBLE)
    END AS "v1",
    CAST("p0"."category" AS TEXT) AS "v2",
    CASE WHEN CAST("p0"."category" AS TEXT) = 'a' THEN 1 END AS "v3",
    CASE WHEN CAST("p0"."category" AS TEXT) = 'b' THEN 1 END AS "v4",
    CASE WHEN CAST("p0"."category" AS TEXT) = 'o''c' THEN 1 END AS "v5"
  FROM "items" AS "r0"
  INNER JOIN "orders" AS "r1"
    ON "r1"."order_id" = "r0"."order_id"
  LEFT JOIN "products" AS "p0"
    ON "p0"."product_id" = "r0"."product_id" AND "p0"."launched_at" <= "r1"."ordered_at"
  INNER JOIN "asked"
    ON "r1"."customer_id" = "asked"."key" AND "r1"."ordered_at" <= "asked"."until"
), "numbered" AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY "key" ORDER BY "t" ASC, "pk0" ASC) AS "seq"
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
    SUM("r"."v1") AS "s1",
    NULLIF(COUNT("r"."v1"), 0) AS "c1",
    SUM("r"."v3") AS "s3",
    SUM("r"."v4") AS "s4",
    SUM("r"."v5") AS "s5"
  FROM "numbered" AS "r"
  INNER JOIN "rfm_bounds_x" AS "b"
    ON "r"."t" > "b"."lo" AND "r"."t" <= "b"."hi"
  GROUP BY
    "r"."key",
    "b"."hi"
), "spans" AS (
  SELECT
    "key",
    "anchor_time",
    "as_of",
    "anchor_time" - INTERVAL '90' DAY AS "since0"
  FROM "points"
), "stats" AS (
  SELECT
    "s"."key",
    "s"."anchor_time",
    "s"."as_of",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."n" END) AS "n_0",
    SUM("c"."n") AS "n_1",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s0" END) AS "s0_0",
    SUM("c"."s0") AS "s0_1",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."c0" END) AS "c0_0",
    SUM("c"."c0") AS "c0_1",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s1" END) AS "s1_0",
    SUM("c"."s1") AS "s1_1",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."c1" END) AS "c1_0",
    SUM("c"."c1") AS "c1_1",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s3" END) AS "s3_0",
    SUM("c"."s3") AS "s3_1",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s4" END) AS "s4_0",
    SUM("c"."s4") AS "s4_1",
    SUM(CASE WHEN "c"."t" > "s"."since0" THEN "c"."s5" END) AS "s5_0",
    SUM("c"."s5") AS "s5_1",
    MAX("c"."newest") AS "newest_1",
    MAX("c"."t") AS "t_1",
    MIN("c"."first") AS "first_1"
  FROM "spans" AS "s"
  INNER JOIN "cells" AS "c"
    ON "c"."key" = "s"."key" AND "c"."t" <= "s"."as_of"
  GROUP BY
    "s"."key",
    "s"."anchor_time",
    "s"."as_of"
)
SELECT
  "k"."example_id" AS "example_id",
  CAST(COALESCE("s"."n_0", 0) AS DOUBLE) AS "f0",
  CAST(COALESCE("s"."n_1", 0) AS DOUBLE) AS "f1",
  CAST(DATE_DIFF('SECOND', "s"."t_1", "k"."anchor_time") AS DOUBLE) / 86400.0 AS "f2",
  CAST(DATE_DIFF('SECOND', "s"."first_1", "k"."anchor_time") AS DOUBLE) / 86400.0 AS "f3",
  CAST("s"."n_1" AS DOUBLE) / (
    CAST(DATE_DIFF('SECOND', "s"."first_1", "k"."anchor_time") AS DOUBLE) / 86400.0 + 1.0
  ) AS "f4",
  CAST(COALESCE("s"."s3_0", 0) AS DOUBLE) AS "f5",
  CAST(COALESCE("s"."s3_1", 0) AS DOUBLE) AS "f6",
  CAST(COALESCE("s"."s4_0", 0) AS DOUBLE) AS "f7",
  CAST(COALESCE("s"."s4_1", 0) AS DOUBLE) AS "f8",
  CAST(COALESCE("s"."s5_0", 0) AS DOUBLE) AS "f9",
  CAST(COALESCE("s"."s5_1", 0) AS DOUBLE) AS "f10",
  "s"."s0_0" / "s"."c0_0" AS "f11",
  "s"."s0_0" AS "f12",
  "s"."s0_1" / "s"."c0_1" AS "f13",
  "s"."s0_1" AS "f14",
  "s"."s1_0" / "s"."c1_0" AS "f15",
  "s"."s1_1" / "s"."c1_1" AS "f16",
  "n0"."v0" AS "f17",
  "n0"."v1" AS "f18",
  "n0"."v2" AS "f19"
FROM "keyed" AS "k"
LEFT JOIN "stats" AS "s"
  ON "k"."key" = "s"."key"
  AND "k"."anchor_time" = "s"."anchor_time"
  AND "k"."as_of" = "s"."as_of"
LEFT JOIN "numbered" AS "n0"
  ON "n0"."key" = "k"."key" AND "n0"."seq" = "s"."newest_1" AND "n0"."t" <= "k"."as_of"
ORDER BY
  "k"."example_id"
