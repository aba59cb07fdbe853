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
    CASE
      WHEN "r0"."paid_at" IS NULL OR "r0"."ordered_at" IS NULL
      THEN NULL
      ELSE GREATEST("r0"."paid_at", "r0"."ordered_at")
    END AS "t",
    CAST(DATE_DIFF('SECOND', "r0"."ordered_at", "r0"."paid_at") AS DOUBLE) / 86400.0 AS "v0"
  FROM "orders" AS "r0"
  INNER JOIN "asked"
    ON "r0"."customer_id" = "asked"."key"
    AND CASE
      WHEN "r0"."paid_at" IS NULL OR "r0"."ordered_at" IS NULL
      THEN NULL
      ELSE GREATEST("r0"."paid_at", "r0"."ordered_at")
    END <= "asked"."until"
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
    SUM("r"."v0" * "r"."v0") AS "q0",
    MIN("r"."v0") AS "lo0",
    MAX("r"."v0") AS "hi0"
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
    "anchor_time" - INTERVAL '30' DAY AS "since0",
    "anchor_time" - INTERVAL '90' DAY AS "since1",
    "anchor_time" - INTERVAL '365' DAY AS "since2"
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
    MAX("c"."newest") AS "newest_3",
    MAX(CASE WHEN "c"."t" > "s"."since1" THEN "c"."hi0" END) AS "hi0_1",
    MAX("c"."hi0") AS "hi0_3",
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
    (
      "q0_0" - (
        "s0_0" * "s0_0"
      ) / "c0_0"
    ) / NULLIF((
      "c0_0" - 1
    ), 0) AS "var0_0",
    (
      "q0_1" - (
        "s0_1" * "s0_1"
      ) / "c0_1"
    ) / NULLIF((
      "c0_1" - 1
    ), 0) AS "var0_1",
    (
      "q0_3" - (
        "s0_3" * "s0_3"
      ) / "c0_3"
    ) / NULLIF((
      "c0_3" - 1
    ), 0) AS "var0_3",
    SQRT(
      CASE
        WHEN (
          (
            "q0_3" - (
              "s0_3" * "s0_3"
            ) / "c0_3"
          ) / NULLIF((
            "c0_3" - 1
          ), 0)
        ) * "c0_3" > 1e-12 * "q0_3"
        THEN (
          "q0_3" - (
            "s0_3" * "s0_3"
          ) / "c0_3"
        ) / NULLIF((
          "c0_3" - 1
        ), 0)
      END
    ) AS "unit0"
  FROM "stats"
)
SELECT
  "k"."example_id" AS "example_id",
  CAST(COALESCE("s"."n_0", 0) AS DOUBLE) AS "f0",
  CAST(COALESCE("s"."n_1", 0) AS DOUBLE) AS "f1",
  CAST(COALESCE("s"."n_2", 0) AS DOUBLE) AS "f2",
  CAST(COALESCE("s"."n_3", 0) AS DOUBLE) AS "f3",
  CAST(DATE_DIFF('SECOND', "s"."t_3", "k"."anchor_time") AS DOUBLE) / 86400.0 AS "f4",
  CAST(DATE_DIFF('SECOND', "s"."first_3", "k"."anchor_time") AS DOUBLE) / 86400.0 AS "f5",
  CAST("s"."n_3" AS DOUBLE) / (
    CAST(DATE_DIFF('SECOND', "s"."first_3", "k"."anchor_time") AS DOUBLE) / 86400.0 + 1.0
  ) AS "f6",
  "s"."s0_0" / "s"."c0_0" AS "f7",
  "s"."s0_0" AS "f8",
  "s"."s0_1" / "s"."c0_1" AS "f9",
  "s"."s0_1" AS "f10",
  "s"."lo0_1" AS "f11",
  "s"."hi0_1" AS "f12",
  SQRT(CASE WHEN "s"."var0_1" < 0 THEN 0.0 ELSE "s"."var0_1" END) AS "f13",
  "s"."s0_2" / "s"."c0_2" AS "f14",
  "s"."s0_2" AS "f15",
  "s"."s0_3" / "s"."c0_3" AS "f16",
  "s"."s0_3" AS "f17",
  "s"."lo0_3" AS "f18",
  "s"."hi0_3" AS "f19",
  SQRT(CASE WHEN "s"."var0_3" < 0 THEN 0.0 ELSE "s"."var0_3" END) AS "f20",
  (
    (
      "s"."s0_0" / "s"."c0_0"
    ) - (
      "s"."s0_3" / "s"."c0_3"
    )
  ) / "s"."unit0" AS "f21",
  (
    (
      "s"."s0_1" / "s"."c0_1"
    ) - (
      "s"."s0_3" / "s"."c0_3"
    )
  ) / "s"."unit0" AS "f22",
  (
    "n0"."v0" - (
      "s"."s0_3" / "s"."c0_3"
    )
  ) / "s"."unit0" AS "f23",
  SQRT(CASE WHEN "s"."var0_0" < 0 THEN 0.0 ELSE "s"."var0_0" END) / "s"."unit0" AS "f24",
  "n0"."v0" AS "f25"
FROM "keyed" AS "k"
LEFT JOIN "spreads" AS "s"
  ON "k"."key" = "s"."key"
  AND "k"."anchor_time" = "s"."anchor_time"
  AND "k"."as_of" = "s"."as_of"
LEFT JOIN "numbered" AS "n0"
  ON "n0"."key" = "k"."key" AND "n0"."seq" = "s"."newest_3" AND "n0"."t" <= "k"."as_of"
ORDER BY
  "k"."example_id"
