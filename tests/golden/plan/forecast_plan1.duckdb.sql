SELECT
  "b"."example_id" AS "base",
  "b"."j" AS "j",
  "r"."day" AS "begins",
  "r"."day" AS "ends"
FROM "rfm_examples_xb" AS "b"
INNER JOIN "rfm_parent0_x" AS "k"
  ON "k"."example_id" = "b"."example_id"
INNER JOIN "fairs" AS "r"
  ON "r"."region" = "k"."key" AND "r"."told_at" <= "b"."as_of"
LEFT JOIN "rfm_windows_x" AS "f"
  ON "f"."i" = "b"."j" - 12
WHERE
  NOT "r"."day" IS NULL
  AND (
    NOT "r"."day" IS NULL
    AND (
      "f"."start_at" IS NULL OR "r"."day" > "f"."start_at"
    )
  )
