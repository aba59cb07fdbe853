SELECT
  "b"."example_id" AS "base",
  "b"."j" AS "j",
  CAST("r"."day" AS TIMESTAMP) AS "begins",
  CAST("r"."day" AS TIMESTAMP) AS "ends"
FROM "rfm_examples_xb" AS "b"
CROSS JOIN "holidays" AS "r"
LEFT JOIN "rfm_windows_x" AS "f"
  ON "f"."i" = "b"."j" - 12
WHERE
  NOT CAST("r"."day" AS TIMESTAMP) IS NULL
  AND (
    NOT CAST("r"."day" AS TIMESTAMP) IS NULL
    AND (
      "f"."start_at" IS NULL OR CAST("r"."day" AS TIMESTAMP) > "f"."start_at"
    )
  )
