WITH "drawn" AS (
  SELECT
    "l"."entity",
    "l"."anchor_time",
    "l"."label",
    "l"."draw"
  FROM "rfm_draws_x" AS "l"
  WHERE
    "l"."known_at" <= CAST('2024-06-30 12:00:00' AS TIMESTAMP)
), "newest" AS (
  SELECT
    MIN("anchor_time") AS "since",
    MAX("draw") AS "last"
  FROM (
    SELECT
      "d"."anchor_time",
      "d"."draw"
    FROM "drawn" AS "d"
    ORDER BY
      "d"."anchor_time" DESC,
      "d"."draw"
    LIMIT 500
  ) AS "x"
), "lots" AS (
  SELECT
    "d"."label",
    "d"."draw"
  FROM "drawn" AS "d"
  ORDER BY
    "d"."draw"
  LIMIT 1000
), "lot" AS (
  SELECT
    MAX("draw") AS "last"
  FROM (
    SELECT
      "draw"
    FROM "lots"
  ) AS "x"
), "met" AS (
  SELECT
    "label"
  FROM "lots"
  GROUP BY
    "label"
  HAVING
    COUNT(*) >= 200
), "of_class" AS (
  SELECT
    "label" AS "label",
    MAX("draw") AS "last"
  FROM (
    SELECT
      "p"."label",
      "p"."draw"
    FROM (
      SELECT
        "d"."label",
        "d"."draw",
        ROW_NUMBER() OVER (PARTITION BY "d"."label" ORDER BY "d"."draw" ASC) AS "place"
      FROM "drawn" AS "d"
      LEFT JOIN "met" AS "m"
        ON "m"."label" = "d"."label"
      WHERE
        "m"."label" IS NULL
    ) AS "p"
    WHERE
      "p"."place" <= 200
  ) AS "x"
  GROUP BY
    "label"
), "near" AS (
  SELECT
    "d".*
  FROM "drawn" AS "d"
  CROSS JOIN "newest" AS "n"
  CROSS JOIN "lot" AS "o"
  LEFT JOIN "of_class" AS "c"
    ON "c"."label" = "d"."label"
  WHERE
    (
      "d"."anchor_time" >= "n"."since" AND "d"."draw" <= "n"."last"
    )
    OR "d"."draw" <= "o"."last"
    OR "d"."draw" <= "c"."last"
)
SELECT
  "r"."entity",
  "r"."anchor_time",
  "r"."label"
FROM (
  SELECT
    *,
    ROW_NUMBER() OVER (ORDER BY "anchor_time" DESC, "draw") AS "newest",
    ROW_NUMBER() OVER (PARTITION BY "label" ORDER BY "draw" ASC) AS "of_class"
  FROM "near" AS "d"
) AS "r"
ORDER BY
  CASE WHEN "r"."of_class" <= 200 THEN 0 WHEN "r"."newest" <= 500 THEN 1 ELSE 2 END,
  "r"."draw"
LIMIT 1000
