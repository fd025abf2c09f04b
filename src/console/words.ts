/** What the console says, in English and in Chinese. Sentences about instances come from the server in both. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Sentence } from "./api.ts";

export type Language = "en" | "zh";

const WORDS = {
  storm: ["Storm", "风暴"],
  instances: ["Instances", "实例"],
  approvals: ["Approvals", "审批"],
  silences: ["Silences", "屏蔽"],
  policies: ["Policies", "策略"],
  alertsIn: ["alerts in", "收到告警"],
  actionsOut: ["actions out", "执行动作"],
  skipped: ["skipped", "已跳过"],
  waiting: ["wait for a person", "等待人工"],
  lastHours: ["since", "自"],
  whySkipped: ["Why nothing was done", "未执行的原因"],
  openGroups: ["Groups, newest first", "收敛组（最新在前）"],
  nothingYet: [
    "Nothing yet. Send alerts to /api/v2/alerts or /v1/alerts.",
    "暂无数据。请将告警发送到 /api/v2/alerts 或 /v1/alerts。",
  ],
  noMatch: ["No instance matches these filters.", "没有符合条件的实例。"],
  nothingWaits: ["Nothing waits for you.", "没有待审批的内容。"],
  state: ["State", "状态"],
  policy: ["Policy", "策略"],
  group: ["Group", "收敛组"],
  labels: ["Labels", "标签"],
  reason: ["Reason", "原因"],
  when: ["When", "时间"],
  attempts: ["Attempts", "执行次数"],
  label: ["Label, such as cluster=core", "标签，如 cluster=core"],
  since: ["Created since", "创建于此后"],
  any: ["any", "全部"],
  more: ["Show more", "显示更多"],
  live: ["live", "实时"],
  offline: ["reconnecting", "正在重连"],
  paused: ["Paused", "已暂停"],
  pause: ["Stop all actions", "停止所有动作"],
  resume: ["Resume", "恢复"],
  resumeDecide: ["Resume, and decide the held ones", "恢复并重新决定被保留的实例"],
  pausedBy: ["by", "操作人"],
  why: ["Why", "原因"],
  by: ["Your name", "姓名"],
  cancel: ["Cancel", "取消"],
  approve: ["Approve", "批准"],
  deny: ["Deny", "拒绝"],
  approveAll: ["Approve all", "全部批准"],
  denyAll: ["Deny all", "全部拒绝"],
  held: ["held", "被保留"],
  dueAt: ["due", "截止"],
  time: ["Time", "时间"],
  step: ["Step", "步骤"],
  of: ["of", "/"],
  timers: ["Timers", "定时器"],
  peers: ["Peers", "同组实例"],
  context: ["Context after this step", "此步骤后的上下文"],
  changes: ["What this step changed", "此步骤的变化"],
  raw: ["Raw JSON", "原始 JSON"],
  otherwise: ["What would have changed it", "怎样会不同"],
  target: ["What the target answered", "目标的响应"],
  stately: [
    "The machine in Stately's editor: machines/action-instance.machine.ts",
    "在 Stately 编辑器中打开：machines/action-instance.machine.ts",
  ],
  exportHint: ["Export", "导出"],
  token: ["This server needs a token.", "此服务器需要令牌。"],
  tokenField: ["Token", "令牌"],
  signIn: ["Continue", "继续"],
  readOnly: ["read only", "只读"],
  newSilence: ["New silence", "新建屏蔽"],
  matchers: ['Matchers, such as cluster="edge"', '匹配器，如 cluster="edge"'],
  comment: ["Comment", "备注"],
  hours: ["Hours", "小时"],
  create: ["Create", "创建"],
  expire: ["Expire", "失效"],
  active: ["active", "生效中"],
  pending: ["pending", "待生效"],
  expired: ["expired", "已失效"],
  candidate: ["Paste a candidate policy file", "粘贴候选策略文件"],
  candidateOk: ["No mistake found.", "未发现错误。"],
  version: ["version", "版本"],
  missing: ["There is no such page.", "页面不存在。"],
  loading: ["Loading", "加载中"],
  movedOn: ["It has moved on:", "状态已变化："],
  alert: ["Alert", "告警"],
  skip: ["Skip to content", "跳到内容"],
  theme: ["Language", "语言"],
} as const satisfies Record<string, readonly [string, string]>;

export type Word = keyof typeof WORDS;

export const LanguageContext = createContext<Language>("en");

export type Say = {
  readonly language: Language;
  (word: Word): string;
  of(sentence: Sentence | null): string;
};

export function useWords(): Say {
  const language = useContext(LanguageContext);
  const index = language === "en" ? 0 : 1;
  const say = (word: Word): string => WORDS[word][index];
  return Object.assign(say, { language, of: (sentence: Sentence | null) => sentence?.[language] ?? "" });
}

const STORED = "becalm-language";

export function storedLanguage(): Language {
  const stored = localStorage.getItem(STORED);
  if (stored === "en" || stored === "zh") return stored;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function storeLanguage(language: Language): void {
  localStorage.setItem(STORED, language);
}
