SELECT
  "R"."ENTITY",
  "R"."ANCHOR_TIME",
  "R"."ITEM"
FROM (
  SELECT DISTINCT
    "I"."ENTITY",
    "W"."ANCHOR_TIME",
    "I"."ITEM"
  FROM "RFM_INTERACTIONS_X" AS "I"
  JOIN "RFM_WINDOWS_X" AS "W"
    ON "I"."HAPPENED" > "W"."OPENS"
    AND "I"."HAPPENED" <= "W"."CLOSES"
    AND "I"."KNOWN" <= "W"."CLOSES"
    AND (
      "I"."UNTIL" IS NULL OR "I"."UNTIL" > "W"."CLOSES"
    )
  JOIN "RFM_LISTED_X" AS "L"
    ON "L"."ITEM" = "I"."ITEM"
    AND (
      "L"."SINCE" IS NULL OR "L"."SINCE" <= "W"."CLOSES"
    )
    AND (
      "L"."UNTIL" IS NULL OR "L"."UNTIL" > "W"."CLOSES"
    )
) AS "R"
JOIN "RFM_INTERACTIONS_X" AS "B"
  ON "B"."ENTITY" = "R"."ENTITY" AND "B"."ITEM" = "R"."ITEM"
GROUP BY
  "R"."ENTITY",
  "R"."ANCHOR_TIME",
  "R"."ITEM"
HAVING
  COUNT(
    CASE
      WHEN "B"."KNOWN" <= "R"."ANCHOR_TIME"
      AND (
        "B"."UNTIL" IS NULL OR "B"."UNTIL" > "R"."ANCHOR_TIME"
      )
      THEN 1
    END
  ) = 0
