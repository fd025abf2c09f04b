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
  pages: ["Pages", "页面"],
  find: ["Find a host, a label or an ID", "查找主机、标签或 ID"],
  alertsIn: ["alerts in", "收到告警"],
  actionsOut: ["actions out", "执行动作"],
  skipped: ["skipped", "已跳过"],
  waiting: ["waiting for a person", "等待人工"],
  sinceTime: ["since", "统计自"],
  eachMinute: ["Alerts in and actions out, a minute", "每分钟的告警与动作"],
  now: ["now", "现在"],
  most: ["at most", "最多"],
  aMinute: ["a minute", "每分钟"],
  whySkipped: ["Why nothing was done", "未执行的原因"],
  openGroups: ["Groups, most recently changed first", "收敛组（最近变化的在前）"],
  openUntil: ["open until", "开放至"],
  closed: ["closed", "已关闭"],
  dimension: ["Group", "收敛组"],
  executed: ["executed", "已执行"],
  all: ["all", "全部"],
  last: ["last", "最近"],
  calm: ["All calm. No alerts yet.", "一切平静，尚未收到告警。"],
  nothingYet: ["Send alerts to /api/v2/alerts or /v1/alerts.", "请将告警发送到 /api/v2/alerts 或 /v1/alerts。"],
  noneSkipped: ["Nothing was skipped.", "没有被跳过的实例。"],
  noGroups: ["No groups in the last hours.", "最近几小时没有收敛组。"],
  noMatch: ["No instance matches these filters.", "没有符合条件的实例。"],
  searchOn: ["Search further back", "继续向前查找"],
  nothingWaits: ["Nothing waits for you.", "没有待审批的内容。"],
  waitsForYou: ["Waiting for a decision", "等待审批"],
  decide: ["Decide", "去审批"],
  decided: ["Recent decisions", "最近的审批结果"],
  nothingDecided: ["No recent decisions.", "最近没有审批结果。"],
  state: ["State", "状态"],
  policy: ["Policy", "策略"],
  group: ["Group", "收敛组"],
  labels: ["Labels", "标签"],
  reason: ["Reason", "原因"],
  whyColumn: ["Why", "原因"],
  when: ["When", "时间"],
  decidedBy: ["Decided by", "决定进程"],
  attempts: ["Attempts", "执行次数"],
  search: ["Host, label or matchers", "主机、标签或匹配器"],
  searchExample: ['web-17 or cluster="core"', 'web-17 或 cluster="core"'],
  since: ["Created", "创建时间"],
  any: ["any", "全部"],
  anyTime: ["any time", "不限"],
  lastHour: ["in the last hour", "最近 1 小时"],
  last6h: ["in the last 6 hours", "最近 6 小时"],
  last24h: ["in the last 24 hours", "最近 24 小时"],
  last7d: ["in the last 7 days", "最近 7 天"],
  clear: ["Clear filters", "清除筛选"],
  remove: ["remove", "移除"],
  newer: ["Newer instances: to the top", "有更新的实例：回到顶部"],
  shown: ["shown", "已显示"],
  more: ["Show more", "显示更多"],
  live: ["live", "实时"],
  offline: ["reconnecting", "正在重连"],
  paused: ["All actions are stopped", "所有动作已停止"],
  pausedPolicy: ["Stopped:", "已停止："],
  pause: ["Stop all actions", "停止所有动作"],
  pauseHint: [
    "Nothing new begins until somebody resumes: what would run is held. Attempts under way continue.",
    "恢复之前不会开始新的动作：本应执行的实例将被保留，正在执行的继续。",
  ],
  resume: ["Resume", "恢复"],
  resumeHint: ["What was held stays held until somebody decides.", "被保留的实例仍需人工决定。"],
  resumeDecide: ["Resume, and decide the held ones", "恢复并重新决定被保留的实例"],
  resumeDecideHint: ["What was held is decided again, in order of arrival.", "被保留的实例将按到达顺序重新决策。"],
  pausedBy: ["by", "操作人："],
  why: ["Why", "原因"],
  by: ["Your name", "姓名"],
  cancel: ["Cancel", "取消"],
  approve: ["Approve", "批准"],
  deny: ["Deny", "拒绝"],
  approveAll: ["Approve all", "全部批准"],
  denyAll: ["Deny all", "全部拒绝"],
  granted: ["approved", "已批准"],
  counted: ["approved, more people needed", "已批准（仍需他人）"],
  denied: ["denied", "已拒绝"],
  approvedBy: ["Approved by", "批准人"],
  deniedBy: ["Denied by", "拒绝人"],
  held: ["held", "个被保留"],
  heldColumn: ["held", "被保留"],
  would: ["If approved", "批准后执行"],
  dueAt: ["decide until", "截止"],
  waitsSince: ["waiting since", "等待自"],
  others: ["more", "个其他"],
  runAnyway: ["Run anyway", "直接执行"],
  stopIt: ["Cancel it", "取消执行"],
  time: ["Time", "时间"],
  past: ["History", "历史"],
  step: ["Step", "步骤"],
  of: ["of", "/"],
  back: ["One step back", "上一步"],
  forth: ["One step forward", "下一步"],
  toNow: ["Back to now", "回到现在"],
  inThePast: ["Viewing the past", "正在查看历史"],
  timers: ["Pending timers", "待触发定时器"],
  noTimers: ["none", "无"],
  timerApproval: ["approval ends", "审批截止"],
  timerRetry: ["retry", "重试"],
  timerWait: ["stops waiting for peers", "停止等待同组"],
  timerVerify: ["must be verified", "确认截止"],
  timerReconsider: ["decided again", "重新决策"],
  timerSilence: ["silence over", "屏蔽结束"],
  timerPause: ["held by the stop", "暂停保留"],
  peers: ["Peers that counted", "计入的同组实例"],
  allPeers: ["All of its group", "同组全部实例"],
  context: ["Context after this step", "此步骤后的上下文"],
  changes: ["What this step changed", "此步骤的变化"],
  field: ["Field", "字段"],
  was: ["Before", "之前"],
  is: ["After", "之后"],
  nothingChanged: ["Only the version changed.", "仅版本号变化。"],
  raw: ["Raw JSON of this step", "此步骤的原始 JSON"],
  otherwise: ["What would have changed it", "怎样会不同"],
  target: ["The target's answer", "目标的响应"],
  facts: ["Facts", "基本信息"],
  source: ["Source", "来源"],
  statelyCopy: ["Copy the machine", "复制状态机"],
  statelyOpen: ["Open Stately's editor", "打开 Stately 编辑器"],
  statelyHint: ["Choose Import from code there, and paste.", "在其中选择“从代码导入”并粘贴。"],
  copied: ["Copied", "已复制"],
  exportHint: ["Export", "导出"],
  exportFile: ["Download the bundle", "下载导出文件"],
  exportUse: ["Verify and replay it anywhere:", "可在任何地方校验和重放："],
  chart: ["Chart", "状态图"],
  widen: ["Wider chart", "放大状态图"],
  narrow: ["Smaller chart", "缩小状态图"],
  token: ["This server needs a token.", "此服务器需要令牌。"],
  tokenField: ["Token", "令牌"],
  signIn: ["Continue", "继续"],
  readOnly: ["read only", "只读"],
  readOnlyHint: ["Your token is read-only.", "您的令牌只能查看，不能操作。"],
  newSilence: ["New silence", "新建屏蔽"],
  noSilences: ["No silences.", "没有屏蔽。"],
  matchers: ['Matchers, such as cluster="edge"', '匹配器，如 cluster="edge"'],
  comment: ["Comment", "备注"],
  hours: ["Hours", "小时"],
  create: ["Create", "创建"],
  expire: ["Expire", "立即失效"],
  expireHint: [
    "It ends now: what it skipped is decided again if its alert still fires.",
    "立即结束：其间跳过且告警仍在触发的实例将重新决策。",
  ],
  active: ["active", "生效中"],
  pending: ["pending", "待生效"],
  expired: ["expired", "已失效"],
  inForce: ["In force", "生效中的策略"],
  oneVersion: ["One version", "指定版本"],
  matches: ["Matches", "匹配"],
  rule: ["Rule", "收敛规则"],
  action: ["Action", "动作"],
  noRule: ["every alert acts", "每个告警都执行"],
  everyAlert: ["every alert", "所有告警"],
  wholePolicy: ["The whole policy", "完整策略"],
  itsInstances: ["Its instances", "相关实例"],
  candidate: ["Try a candidate", "试算候选策略"],
  candidateHint: [
    "Paste a whole policy file. Mistakes show as you type; if there are none, it is played over recent alerts. Nothing is changed.",
    "粘贴完整的策略文件。输入时会检查错误；无误时将用最近收到的告警试算。不会更改任何内容。",
  ],
  candidateField: ["Policy file", "策略文件"],
  candidateOver: ["Played over the last", "试算范围：最近"],
  hour: ["hour", "小时"],
  hoursWord: ["hours", "小时"],
  candidateOk: ["No mistake found.", "未发现错误。"],
  mistakes: ["Mistakes", "错误"],
  trying: ["Playing it over the last hours ...", "正在用最近的告警试算……"],
  difference: ["What would have gone another way", "结果会有哪些不同"],
  noDifference: ["Nothing would have gone another way.", "结果不会有任何不同。"],
  isCut: ["There was too much to try: only the newest was played.", "数据过多，仅试算了最新部分。"],
  leftOut: ["older instances are left out", "个较早的实例未计入"],
  unreadable: ["could not be read", "个无法读取"],
  refusedAnswers: ["answers of people met no instance that takes them", "次人工答复没有可接受的实例"],
  before: ["before", "此前"],
  candidateColumn: ["candidate", "候选"],
  changed: ["changed", "有变化"],
  newlyExecuted: ["newly executed", "新执行"],
  newlySkipped: ["newly skipped", "新跳过"],
  otherChange: ["other reason", "原因不同"],
  change: ["Change", "变化"],
  groups: ["groups", "收敛组"],
  severity: ["severity", "级别"],
  noInstance: ["no instance", "无实例"],
  version: ["Version", "版本"],
  missing: ["There is no such page.", "页面不存在。"],
  loading: ["Loading", "加载中"],
  movedOn: ["It has moved on:", "状态已变化："],
  original: ["The server's message", "服务器原文"],
  alert: ["Alert", "告警"],
  skip: ["Skip to content", "跳到内容"],
  errorMoved: [
    "It has moved on since you saw it. Look again, then decide.",
    "在您查看之后状态已变化，请重新查看后再决定。",
  ],
  errorRefused: ["Its state does not accept this now.", "当前状态不接受此操作。"],
  errorMissing: ["It does not exist, or is no longer kept.", "不存在或已不再保留。"],
  errorInvalid: ["The server does not accept this input.", "服务器无法接受此输入。"],
  errorBusy: ["The server is busy. Try again in a moment.", "服务器繁忙，请稍后再试。"],
  errorForbidden: ["Your token may not do this.", "您的令牌无此权限。"],
  errorMatchers: ['Write matchers as name="value", separated by commas.', '匹配器写作 name="value"，以逗号分隔。'],
  errorHours: ["Hours must be a number above 0.", "小时数必须大于 0。"],
  errorAway: ["The server cannot be reached.", "无法连接服务器。"],
  errorOther: ["The server refused.", "服务器拒绝了请求。"],
} as const satisfies Record<string, readonly [string, string]>;

export type Word = keyof typeof WORDS;

const STATES: Readonly<Record<string, string>> = {
  Idle: "空闲",
  Processing: "处理中",
  Proceeding: "等待同组",
  Success: "成功",
  Failed: "失败",
  Defense: "异常防御",
  Waiting: "等待审批",
  Skipped: "已跳过",
};

const KINDS: Readonly<Record<string, readonly [string, string]>> = {
  summary: ["summary", "汇总"],
  "approval-request": ["approval request", "审批请求"],
};

export const LanguageContext = createContext<Language>("en");

export type Say = {
  readonly language: Language;
  (word: Word): string;
  of(sentence: Sentence | null): string;
  /** Who acted. The server marks a name that nothing proves. */
  who(by: string): string;
  state(name: string): string;
  kind(name: string): string;
};

export function useWords(): Say {
  return SAYS[useContext(LanguageContext)];
}

function sayIn(language: Language): Say {
  const index = language === "en" ? 0 : 1;
  const say = (word: Word): string => WORDS[word][index];
  const named = (text: string) => (language === "zh" ? text.replaceAll(" (unauthenticated)", "（未认证）") : text);
  return Object.assign(say, {
    language,
    of: (sentence: Sentence | null) => named(sentence?.[language] ?? ""),
    who: named,
    state: (name: string) => (language === "zh" ? (STATES[name] ?? name) : name),
    kind: (name: string) => KINDS[name]?.[index] ?? name,
  });
}

const SAYS: Readonly<Record<Language, Say>> = { en: sayIn("en"), zh: sayIn("zh") };

const STORED = "becalm-language";

export function storedLanguage(): Language {
  const stored = localStorage.getItem(STORED);
  if (stored === "en" || stored === "zh") return stored;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function storeLanguage(language: Language): void {
  localStorage.setItem(STORED, language);
}
