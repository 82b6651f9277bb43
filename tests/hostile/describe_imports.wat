;; A description that keeps quiet about an import.
;; Expect: ProviderRejectedError description
;; At: load
;; Grants: random
(module
  (import "host" "random" (func (param i32 i32)))
  {{canned}})
