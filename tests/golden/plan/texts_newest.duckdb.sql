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
    "r0"."ticket_id" AS "pk0",
    "r0"."opened_at" AS "t",
    CAST(LENGTH(CAST("r0"."subject" AS TEXT)) AS DOUBLE) AS "v0",
    LEFT(CAST("r0"."subject" AS TEXT), 400) AS "v1"
  FROM tickets AS "r0"
  INNER JOIN "asked"
    ON "r0"."customer_id" = "asked"."key" AND "r0"."opened_at" <= "asked"."until"
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
    SUM("c"."q0") AS "q0_0",
    MAX("c"."newest") AS "newest_0",
    MAX("c"."hi0") AS "hi0_0",
    MAX("c"."t") AS "t_0",
    MIN("c"."lo0") AS "lo0_0",
    MIN("c"."first") AS "first_0"
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
    ), 0) AS "var0_0"
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
        AND "r"."seq" <= "s"."newest_0"
        AND "r"."seq" > "s"."newest_0" - 3
    )
)
SELECT
  "k"."example_id" AS "example_id",
  CAST(COALESCE("s"."n_0", 0) AS DOUBLE) AS "f0",
  CAST(DATE_DIFF('SECOND', "s"."t_0", "k"."anchor_time") AS DOUBLE) / 86400.0 AS "f1",
  CAST(DATE_DIFF('SECOND', "s"."first_0", "k"."anchor_time") AS DOUBLE) / 86400.0 AS "f2",
  CAST("s"."n_0" AS DOUBLE) / (
    CAST(DATE_DIFF('SECOND', "s"."first_0", "k"."anchor_time") AS DOUBLE) / 86400.0 + 1.0
  ) AS "f3",
  "s"."s0_0" / "s"."c0_0" AS "f4",
  "s"."s0_0" AS "f5",
  "s"."lo0_0" AS "f6",
  "s"."hi0_0" AS "f7",
  SQRT(CASE WHEN "s"."var0_0" < 0 THEN 0.0 ELSE "s"."var0_0" END) AS "f8",
  "n0"."v0" AS "f9",
  "n0"."v1" AS "f10",
  "n1"."v0" AS "f11",
  CAST(DATE_DIFF('SECOND', "n1"."t", "n0"."t") AS DOUBLE) / 86400.0 AS "f12",
  "n2"."v0" AS "f13",
  CAST(DATE_DIFF('SECOND', "n2"."t", "n1"."t") AS DOUBLE) / 86400.0 AS "f14"
FROM "keyed" AS "k"
LEFT JOIN "spreads" AS "s"
  ON "k"."key" = "s"."key"
  AND "k"."anchor_time" = "s"."anchor_time"
  AND "k"."as_of" = "s"."as_of"
LEFT JOIN "recent" AS "n0"
  ON "n0"."key" = "k"."key" AND "n0"."seq" = "s"."newest_0" AND "n0"."t" <= "k"."as_of"
LEFT JOIN "recent" AS "n1"
  ON "n1"."key" = "k"."key"
  AND "n1"."seq" = "s"."newest_0" - 1
  AND "n1"."t" <= "k"."as_of"
LEFT JOIN "recent" AS "n2"
  ON "n2"."key" = "k"."key"
  AND "n2"."seq" = "s"."newest_0" - 2
  AND "n2"."t" <= "k"."as_of"
ORDER BY
  "k"."example_id"
