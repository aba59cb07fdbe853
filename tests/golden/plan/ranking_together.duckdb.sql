SELECT
  "k"."at",
  "k"."a",
  "k"."b",
  "k"."score"
FROM (
  SELECT
    "p".*,
    ROW_NUMBER() OVER (
      PARTITION BY "p"."at", "p"."a"
      ORDER BY ROUND("p"."score" * 1000000000) DESC, "p"."b"
    ) AS "place"
  FROM (
    SELECT
      "x"."at",
      "x"."item" AS "a",
      "y"."item" AS "b",
      COUNT(*) / SQRT(CAST(MIN("x"."entities") AS DOUBLE) * MIN("y"."entities")) AS "score"
    FROM "rfm_witnessed_x" AS "x"
    JOIN "rfm_witnessed_x" AS "y"
      ON "y"."at" = "x"."at" AND "y"."entity" = "x"."entity" AND "y"."item" <> "x"."item"
    GROUP BY
      "x"."at",
      "x"."item",
      "y"."item"
    HAVING
      COUNT(*) >= 2
  ) AS "p"
) AS "k"
WHERE
  "k"."place" <= 40
