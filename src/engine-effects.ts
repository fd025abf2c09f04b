/** How an engine runs its attempts: in this process, with spans around them if somebody traces. */
import { AddressGuard } from "./effects/address-guard.ts";
import type { OpenEffectPort } from "./effects/effect-port.ts";
import { localEffects } from "./effects/local-effects.ts";
import { TracedEffects } from "./effects/traced-effects.ts";
import type { EngineOptions } from "./engine-options.ts";
import type { CommitListener } from "./runtime/runtime.ts";
import type { Logger } from "./system/logger.ts";
import { isTracing } from "./system/tracing.ts";

type OwnOptions = Pick<EngineOptions, "handlers" | "allowExec" | "allowAddresses" | "urls">;

export function engineEffects(
  { handlers = {}, allowExec = false, allowAddresses, urls }: OwnOptions,
  { logger, now }: { readonly logger: Logger; readonly now: () => number },
): { readonly effects: OpenEffectPort; readonly onCommit: readonly CommitListener[] } {
  const guard = new AddressGuard(allowAddresses);
  const effects = localEffects({ handlers, allowExec, logger, guard, now, ...(urls === undefined ? {} : { urls }) });
  if (!isTracing()) return { effects, onCommit: [] };
  const traced = new TracedEffects();
  return { effects: traced.around(effects), onCommit: [(decision) => traced.emitted(decision.effects)] };
}
