SELECT
  "B"."EXAMPLE_ID" AS "BASE",
  "B"."J" AS "J",
  "R"."DAY" AS "BEGINS",
  "R"."DAY" AS "ENDS"
FROM "RFM_EXAMPLES_XB" AS "B"
INNER JOIN "RFM_PARENT0_X" AS "K"
  ON "K"."EXAMPLE_ID" = "B"."EXAMPLE_ID"
INNER JOIN "fairs" AS "R"
  ON "R"."REGION" = "K"."KEY" AND "R"."TOLD_AT" <= "B"."AS_OF"
LEFT JOIN "RFM_WINDOWS_X" AS "F"
  ON "F"."I" = "B"."J" - 12
WHERE
  NOT "R"."DAY" IS NULL
  AND (
    NOT "R"."DAY" IS NULL
    AND (
      "F"."START_AT" IS NULL OR "R"."DAY" > "F"."START_AT"
    )
  )
