SELECT DISTINCT
  "i"."entity",
  "w"."anchor_time",
  "i"."item"
FROM "rfm_interactions_x" AS "i"
JOIN "rfm_windows_x" AS "w"
  ON "i"."happened" > "w"."opens"
  AND "i"."happened" <= "w"."closes"
  AND "i"."known" <= "w"."closes"
  AND (
    "i"."until" IS NULL OR "i"."until" > "w"."closes"
  )
JOIN "rfm_listed_x" AS "l"
  ON "l"."item" = "i"."item"
  AND (
    "l"."since" IS NULL OR "l"."since" <= "w"."closes"
  )
  AND (
    "l"."until" IS NULL OR "l"."until" > "w"."closes"
  )
