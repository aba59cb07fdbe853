SELECT
  "b"."example_id" AS "base",
  "b"."j" AS "j",
  "r"."starts_at" AS "begins",
  "r"."ends_at" AS "ends",
  CASE
    WHEN ABS(CAST("r"."discount" AS DOUBLE PRECISION)) < 1e-100
    THEN CAST(0 AS DOUBLE PRECISION)
    WHEN ABS(CAST("r"."discount" AS DOUBLE PRECISION)) <= 1e100
    THEN CAST("r"."discount" AS DOUBLE PRECISION)
  END AS "v0"
FROM "rfm_examples_xb" AS "b"
INNER JOIN "promotions" AS "r"
  ON "r"."store" = "b"."entity" AND "r"."told_at" <= "b"."as_of"
LEFT JOIN "rfm_windows_x" AS "f"
  ON "f"."i" = "b"."j" - 12
WHERE
  NOT "r"."starts_at" IS NULL
  AND (
    NOT "r"."ends_at" IS NULL
    AND (
      "f"."start_at" IS NULL OR "r"."ends_at" > "f"."start_at"
    )
  )
